#include "model.h"

#include "kernels.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

namespace qw::demo {
namespace {

enum Which : size_t { kNorm1, kQkv, kOutput, kNorm2, kGateUp, kDown };

constexpr int64_t kLossRows = 1024; // rows of logits held at once
constexpr double kInitialDeviation = 0.02;

float* data(const at::Tensor& t)
{
    return t.data_ptr<float>();
}

// Masks the output of a residual branch, scaled so that its mean stays; undefined without dropout.
at::Tensor drop(at::Tensor& branch, double probability, at::Generator& generator)
{
    if (probability <= 0)
        return {};
    at::Tensor mask = at::empty_like(branch).bernoulli_(1.0 - probability, generator);
    mask.mul_(1.0 / (1.0 - probability));
    branch.mul_(mask);
    return mask;
}

} // namespace

DemoModel::DemoModel(const ModelShape& shape, uint64_t seed, at::ScalarType products)
    : m_shape(shape), m_products(products)
{
    at::Generator generator = at::detail::createCPUGenerator(seed);
    const auto add = [&](const std::string& name, at::IntArrayRef sizes, double deviation) {
        Parameter p;
        p.name = name;
        p.value = deviation > 0 ? at::empty(sizes, at::kFloat).normal_(0.0, deviation, generator)
                                : at::ones(sizes, at::kFloat);
        p.gradient = at::zeros(sizes, at::kFloat);
        p.first = at::zeros(sizes, at::kFloat);
        p.second = at::zeros(sizes, at::kFloat);
        p.decays = sizes.size() == 2;
        m_parameters.push_back(std::move(p));
    };
    // Residual branches start smaller so that the sum over the layers keeps its scale (GPT-2).
    const double branch = kInitialDeviation / std::sqrt(2.0 * double(shape.layers));
    const int64_t queries = shape.heads * shape.headWidth;
    const int64_t keys = shape.kvHeads * shape.headWidth;
    add("embed", {shape.vocabulary, shape.hidden}, kInitialDeviation);
    for (int64_t i = 0; i < shape.layers; ++i) {
        const std::string at = "layers." + std::to_string(i) + ".";
        add(at + "norm1", {shape.hidden}, 0);
        add(at + "qkv", {queries + 2 * keys, shape.hidden}, kInitialDeviation);
        add(at + "output", {shape.hidden, queries}, branch);
        add(at + "norm2", {shape.hidden}, 0);
        add(at + "gate_up", {2 * shape.intermediate, shape.hidden}, kInitialDeviation);
        add(at + "down", {shape.hidden, shape.intermediate}, branch);
    }
    add("norm", {shape.hidden}, 0);
    m_cosine = at::empty({shape.maxPositions, shape.headWidth / 2}, at::kFloat);
    m_sine = at::empty_like(m_cosine);
    rotaryTables(data(m_cosine), data(m_sine), shape.maxPositions, shape.headWidth,
                 shape.ropeTheta);
}

// a b in the product type; float32 out.
at::Tensor DemoModel::multiply(const at::Tensor& a, const at::Tensor& b) const
{
    const auto cast = [this](const at::Tensor& t) { return t.to(m_products); };
    return (a.dim() == 3 ? at::bmm(cast(a), cast(b)) : at::mm(cast(a), cast(b))).to(at::kFloat);
}

at::Tensor DemoModel::product(const at::Tensor& x, const at::Tensor& weight) const
{
    return multiply(x, weight.t());
}

// gradient += dy^T x.
void DemoModel::addWeightGradient(Parameter& p, const at::Tensor& dy, const at::Tensor& x) const
{
    if (m_products == at::kFloat)
        p.gradient.addmm_(dy.t(), x); // without a temporary
    else
        p.gradient.add_(multiply(dy.t(), x));
}

void DemoModel::clearGradients()
{
    for (Parameter& p : m_parameters)
        p.gradient.zero_();
}

double DemoModel::step(const at::Tensor& windows, double dropout, uint64_t dropoutSeed)
{
    return run(windows, true, dropout, dropoutSeed);
}

double DemoModel::evaluate(const at::Tensor& windows)
{
    return run(windows, false, 0, 0) * double(windows.size(0) * (windows.size(1) - 1));
}

at::Tensor DemoModel::forwardLayer(size_t layer, const at::Tensor& x, Saved& s)
{
    const int64_t rows = x.size(0), width = m_shape.hidden, head = m_shape.headWidth;
    const int64_t pairs = m_batch * m_shape.kvHeads, group = m_shape.heads / m_shape.kvHeads;
    const HeadShape shape{m_batch, m_tokens, m_shape.kvHeads, group, head};
    const float eps = float(m_shape.rmsEps);

    s.input = x;
    s.norm1 = at::empty_like(x);
    s.inverse1 = at::empty({rows}, at::kFloat);
    rmsNorm(data(x), data(at(layer, kNorm1).value), data(s.norm1), data(s.inverse1), rows, width,
            eps);
    const at::Tensor qkv = product(s.norm1, at(layer, kQkv).value);
    s.q = at::empty({pairs, group * m_tokens, head}, at::kFloat);
    s.k = at::empty({pairs, m_tokens, head}, at::kFloat);
    s.v = at::empty_like(s.k);
    splitHeads(data(qkv), data(m_cosine), data(m_sine), data(s.q), data(s.k), data(s.v), shape);
    s.attention = multiply(s.q, s.k.transpose(1, 2));
    causalSoftmax(data(s.attention), pairs * group * m_tokens, m_tokens);
    const at::Tensor split = multiply(s.attention, s.v);
    s.merged = at::empty({rows, m_shape.heads * head}, at::kFloat);
    mergeHeads(data(split), data(s.merged), shape);
    return product(s.merged, at(layer, kOutput).value);
}

at::Tensor DemoModel::backwardLayer(size_t layer, at::Tensor dx, Saved& s)
{
    const int64_t rows = dx.size(0), width = m_shape.hidden, head = m_shape.headWidth;
    const int64_t pairs = m_batch * m_shape.kvHeads, group = m_shape.heads / m_shape.kvHeads;
    const HeadShape shape{m_batch, m_tokens, m_shape.kvHeads, group, head};

    // Feed-forward branch.
    at::Tensor dbranch = s.mask2.defined() ? dx * s.mask2 : dx;
    addWeightGradient(at(layer, kDown), dbranch, s.activated);
    const at::Tensor dactivated = multiply(dbranch, at(layer, kDown).value);
    swiGluBackward(data(dactivated), data(s.gateUp), rows, m_shape.intermediate);
    addWeightGradient(at(layer, kGateUp), s.gateUp, s.norm2);
    const at::Tensor dnorm2 = multiply(s.gateUp, at(layer, kGateUp).value);
    rmsNormBackward(data(dnorm2), data(s.middle), data(at(layer, kNorm2).value), data(s.inverse2),
                    data(dx), data(at(layer, kNorm2).gradient), rows, width);

    // Attention branch.
    dbranch = s.mask1.defined() ? dx * s.mask1 : dx;
    addWeightGradient(at(layer, kOutput), dbranch, s.merged);
    const at::Tensor dmerged = multiply(dbranch, at(layer, kOutput).value);
    at::Tensor dsplit = at::empty({pairs, group * m_tokens, head}, at::kFloat);
    unmergeHeads(data(dmerged), data(dsplit), shape);
    const at::Tensor dv = multiply(s.attention.transpose(1, 2), dsplit);
    at::Tensor dscores = multiply(dsplit, s.v.transpose(1, 2));
    causalSoftmaxBackward(data(s.attention), data(dscores), pairs * group * m_tokens, m_tokens);
    const at::Tensor dq = multiply(dscores, s.k);
    const at::Tensor dk = multiply(dscores.transpose(1, 2), s.q);
    at::Tensor dqkv = at::empty({rows, at(layer, kQkv).value.size(0)}, at::kFloat);
    splitHeadsBackward(data(dq), data(dk), data(dv), data(m_cosine), data(m_sine), data(dqkv),
                       shape);
    addWeightGradient(at(layer, kQkv), dqkv, s.norm1);
    const at::Tensor dnorm1 = multiply(dqkv, at(layer, kQkv).value);
    rmsNormBackward(data(dnorm1), data(s.input), data(at(layer, kNorm1).value), data(s.inverse1),
                    data(dx), data(at(layer, kNorm1).gradient), rows, width);
    return dx;
}

double DemoModel::lossAndGradient(const at::Tensor& hidden, const at::Tensor& targets,
                                  bool backward, at::Tensor& dhidden)
{
    Parameter& embed = m_parameters.front();
    const int64_t rows = hidden.size(0);
    const float scale = backward ? float(1.0 / double(rows)) : 0.0f;
    double total = 0;
    for (int64_t begin = 0; begin < rows; begin += kLossRows) {
        const int64_t count = std::min(kLossRows, rows - begin);
        const at::Tensor part = hidden.narrow(0, begin, count);
        at::Tensor logits = product(part, embed.value);
        total += crossEntropy(data(logits), targets.data_ptr<int64_t>() + begin, count,
                              m_shape.vocabulary, scale);
        if (!backward)
            continue;
        at::Tensor slice = dhidden.narrow(0, begin, count);
        slice.copy_(multiply(logits, embed.value));
        addWeightGradient(embed, logits, part);
    }
    return total / double(rows);
}

double DemoModel::run(const at::Tensor& windows, bool backward, double dropout,
                      uint64_t dropoutSeed)
{
    m_batch = windows.size(0);
    m_tokens = windows.size(1) - 1;
    const int64_t rows = m_batch * m_tokens, width = m_shape.hidden;
    const at::Tensor ids = windows.narrow(1, 0, m_tokens).reshape({rows}).contiguous();
    const at::Tensor targets = windows.narrow(1, 1, m_tokens).reshape({rows}).contiguous();
    at::Generator generator = at::detail::createCPUGenerator(dropoutSeed);

    at::Tensor x = m_parameters.front().value.index_select(0, ids);
    const at::Tensor embedMask = drop(x, dropout, generator);
    std::vector<Saved> saved(size_t(backward ? m_shape.layers : 1));
    for (size_t layer = 0; layer < size_t(m_shape.layers); ++layer) {
        Saved& s = saved[backward ? layer : 0];
        at::Tensor branch = forwardLayer(layer, x, s);
        s.mask1 = drop(branch, dropout, generator);
        s.middle = branch.add_(x);
        s.norm2 = at::empty_like(x);
        s.inverse2 = at::empty({rows}, at::kFloat);
        rmsNorm(data(s.middle), data(at(layer, kNorm2).value), data(s.norm2), data(s.inverse2),
                rows, width, float(m_shape.rmsEps));
        s.gateUp = product(s.norm2, at(layer, kGateUp).value);
        s.activated = at::empty({rows, m_shape.intermediate}, at::kFloat);
        swiGlu(data(s.gateUp), data(s.activated), rows, m_shape.intermediate);
        branch = product(s.activated, at(layer, kDown).value);
        s.mask2 = drop(branch, dropout, generator);
        x = branch.add_(s.middle);
    }
    Parameter& norm = m_parameters.back();
    at::Tensor normed = at::empty_like(x);
    const at::Tensor inverse = at::empty({rows}, at::kFloat);
    rmsNorm(data(x), data(norm.value), data(normed), data(inverse), rows, width,
            float(m_shape.rmsEps));
    at::Tensor dnormed = backward ? at::empty_like(x) : at::Tensor();
    const double loss = lossAndGradient(normed, targets, backward, dnormed);
    if (!backward)
        return loss;

    at::Tensor dx = at::zeros_like(x);
    rmsNormBackward(data(dnormed), data(x), data(norm.value), data(inverse), data(dx),
                    data(norm.gradient), rows, width);
    for (size_t layer = size_t(m_shape.layers); layer-- > 0;) {
        dx = backwardLayer(layer, dx, saved[layer]);
        saved[layer] = Saved();
    }
    if (embedMask.defined())
        dx.mul_(embedMask);
    m_parameters.front().gradient.index_add_(0, ids, dx);
    return loss;
}

} // namespace qw::demo
