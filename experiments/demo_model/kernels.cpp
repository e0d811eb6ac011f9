#include "kernels.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

// Every row function is compiled for AVX-512, AVX2 and the baseline; the loader picks one.
#define QW_CLONES __attribute__((target_clones("avx512f", "avx2,fma", "default"), noinline))

namespace qw::demo {
namespace {

// Sums go into fixed partial sums so that the result does not depend on the number of threads.
QW_CLONES float dotRow(const float* a, const float* b, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; ++i)
        sum += a[i] * b[i];
    return sum;
}

QW_CLONES void scaleRow(const float* x, const float* w, float factor, float* y, int64_t n)
{
    for (int64_t i = 0; i < n; ++i)
        y[i] = x[i] * factor * w[i];
}

QW_CLONES float normBackwardRow(const float* dy, const float* x, const float* w, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; ++i)
        sum += dy[i] * w[i] * x[i];
    return sum;
}

QW_CLONES void normBackwardWrite(const float* dy, const float* x, const float* w, float inverse,
                                 float projection, float* dx, float* dweight, int64_t n)
{
    for (int64_t i = 0; i < n; ++i) {
        dx[i] += inverse * dy[i] * w[i] - projection * x[i];
        dweight[i] += dy[i] * x[i] * inverse;
    }
}

QW_CLONES void swiGluRow(const float* gate, const float* up, float* y, int64_t n)
{
    for (int64_t i = 0; i < n; ++i)
        y[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

QW_CLONES void swiGluBackwardRow(const float* dy, float* gate, float* up, int64_t n)
{
    for (int64_t i = 0; i < n; ++i) {
        const float g = gate[i];
        const float s = 1.0f / (1.0f + std::exp(-g));
        const float silu = g * s;
        const float slope = s * (1.0f + g * (1.0f - s));
        gate[i] = dy[i] * up[i] * slope;
        up[i] = dy[i] * silu;
    }
}

QW_CLONES void rotateRow(const float* x, const float* c, const float* s, float scale, float sign,
                         float* y, int64_t half)
{
    for (int64_t i = 0; i < half; ++i) {
        const float a = x[i], b = x[i + half], t = sign * s[i];
        y[i] = (a * c[i] - b * t) * scale;
        y[i + half] = (b * c[i] + a * t) * scale;
    }
}

QW_CLONES float maxRow(const float* x, int64_t n)
{
    float best = x[0];
    for (int64_t i = 1; i < n; ++i)
        best = x[i] > best ? x[i] : best;
    return best;
}

QW_CLONES float expRow(float* x, float top, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; ++i) {
        x[i] = std::exp(x[i] - top);
        sum += x[i];
    }
    return sum;
}

QW_CLONES void multiplyRow(float* x, float factor, int64_t n)
{
    for (int64_t i = 0; i < n; ++i)
        x[i] *= factor;
}

QW_CLONES void softmaxBackwardRow(const float* p, float* dp, float sum, int64_t n)
{
    for (int64_t i = 0; i < n; ++i)
        dp[i] = p[i] * (dp[i] - sum);
}

QW_CLONES void adamRow(float* w, float* m, float* v, const float* g, int64_t n, AdamStep s)
{
    for (int64_t i = 0; i < n; ++i) {
        const float grad = g[i] * s.gradientScale;
        m[i] = s.beta1 * m[i] + (1.0f - s.beta1) * grad;
        v[i] = s.beta2 * v[i] + (1.0f - s.beta2) * grad * grad;
        const float denominator = std::sqrt(v[i] * s.correction2) + s.eps;
        w[i] -= s.rate * (m[i] * s.correction1 / denominator + s.decay * w[i]);
    }
}

QW_CLONES double squaresRow(const float* x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
        sum += double(x[i]) * x[i];
    return sum;
}

constexpr int64_t kRowGrain = 32;
constexpr int64_t kBlock = 16384;

} // namespace

void rmsNorm(const float* x, const float* weight, float* y, float* inverse, int64_t rows,
             int64_t width, float eps)
{
    at::parallel_for(0, rows, kRowGrain, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const float* row = x + r * width;
            inverse[r] = 1.0f / std::sqrt(dotRow(row, row, width) / float(width) + eps);
            scaleRow(row, weight, inverse[r], y + r * width, width);
        }
    });
}

void rmsNormBackward(const float* dy, const float* x, const float* weight, const float* inverse,
                     float* dx, float* dweight, int64_t rows, int64_t width)
{
    // The weight gradient is summed per block of rows, then over the blocks, in a fixed order.
    constexpr int64_t kRows = 256;
    const int64_t blocks = (rows + kRows - 1) / kRows;
    std::vector<float> partial(size_t(blocks * width), 0.0f);
    at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t block = begin; block < end; ++block) {
            const int64_t last = std::min(rows, (block + 1) * kRows);
            for (int64_t r = block * kRows; r < last; ++r) {
                const float* dyRow = dy + r * width;
                const float* xRow = x + r * width;
                const float cube = inverse[r] * inverse[r] * inverse[r] / float(width);
                const float projection = cube * normBackwardRow(dyRow, xRow, weight, width);
                normBackwardWrite(dyRow, xRow, weight, inverse[r], projection, dx + r * width,
                                  partial.data() + block * width, width);
            }
        }
    });
    for (int64_t block = 0; block < blocks; ++block)
        for (int64_t i = 0; i < width; ++i)
            dweight[i] += partial[size_t(block * width + i)];
}

void swiGlu(const float* gateUp, float* y, int64_t rows, int64_t width)
{
    at::parallel_for(0, rows, kRowGrain, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const float* gate = gateUp + 2 * r * width;
            swiGluRow(gate, gate + width, y + r * width, width);
        }
    });
}

void swiGluBackward(const float* dy, float* gateUp, int64_t rows, int64_t width)
{
    at::parallel_for(0, rows, kRowGrain, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            float* gate = gateUp + 2 * r * width;
            swiGluBackwardRow(dy + r * width, gate, gate + width, width);
        }
    });
}

void rotaryTables(float* cosine, float* sine, int64_t tokens, int64_t width, double theta)
{
    const int64_t half = width / 2;
    for (int64_t t = 0; t < tokens; ++t)
        for (int64_t i = 0; i < half; ++i) {
            const double angle = double(t) * std::pow(theta, -2.0 * double(i) / double(width));
            cosine[t * half + i] = float(std::cos(angle));
            sine[t * half + i] = float(std::sin(angle));
        }
}

namespace {

// Walks all (batch, kv head) pairs; calls visit(offset in qkv row layout, offset in split layout,
// t).
template <typename Visit>
void forEachHeadRow(const HeadShape& s, Visit&& visit)
{
    at::parallel_for(0, s.batch * s.tokens, kRowGrain, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r)
            visit(r, r / s.tokens, r % s.tokens);
    });
}

} // namespace

void splitHeads(const float* qkv, const float* cosine, const float* sine, float* q, float* k,
                float* v, const HeadShape& s)
{
    const int64_t heads = s.kvHeads * s.group, half = s.width / 2;
    const float scale = 1.0f / std::sqrt(float(s.width));
    forEachHeadRow(s, [&](int64_t r, int64_t b, int64_t t) {
        const float* row = qkv + r * (heads + 2 * s.kvHeads) * s.width;
        const float *c = cosine + t * half, *sn = sine + t * half;
        for (int64_t h = 0; h < s.kvHeads; ++h) {
            const int64_t pair = b * s.kvHeads + h;
            for (int64_t g = 0; g < s.group; ++g)
                rotateRow(row + (h * s.group + g) * s.width, c, sn, scale, 1.0f,
                          q + ((pair * s.group + g) * s.tokens + t) * s.width, half);
            rotateRow(row + (heads + h) * s.width, c, sn, 1.0f, 1.0f,
                      k + (pair * s.tokens + t) * s.width, half);
            std::copy_n(row + (heads + s.kvHeads + h) * s.width, s.width,
                        v + (pair * s.tokens + t) * s.width);
        }
    });
}

void splitHeadsBackward(const float* dq, const float* dk, const float* dv, const float* cosine,
                        const float* sine, float* dqkv, const HeadShape& s)
{
    const int64_t heads = s.kvHeads * s.group, half = s.width / 2;
    const float scale = 1.0f / std::sqrt(float(s.width));
    forEachHeadRow(s, [&](int64_t r, int64_t b, int64_t t) {
        float* row = dqkv + r * (heads + 2 * s.kvHeads) * s.width;
        const float *c = cosine + t * half, *sn = sine + t * half;
        for (int64_t h = 0; h < s.kvHeads; ++h) {
            const int64_t pair = b * s.kvHeads + h;
            for (int64_t g = 0; g < s.group; ++g)
                rotateRow(dq + ((pair * s.group + g) * s.tokens + t) * s.width, c, sn, scale, -1.0f,
                          row + (h * s.group + g) * s.width, half);
            rotateRow(dk + (pair * s.tokens + t) * s.width, c, sn, 1.0f, -1.0f,
                      row + (heads + h) * s.width, half);
            std::copy_n(dv + (pair * s.tokens + t) * s.width, s.width,
                        row + (heads + s.kvHeads + h) * s.width);
        }
    });
}

void mergeHeads(const float* split, float* merged, const HeadShape& s)
{
    const int64_t heads = s.kvHeads * s.group;
    forEachHeadRow(s, [&](int64_t r, int64_t b, int64_t t) {
        for (int64_t h = 0; h < heads; ++h)
            std::copy_n(split + ((b * heads + h) * s.tokens + t) * s.width, s.width,
                        merged + (r * heads + h) * s.width);
    });
}

void unmergeHeads(const float* merged, float* split, const HeadShape& s)
{
    const int64_t heads = s.kvHeads * s.group;
    forEachHeadRow(s, [&](int64_t r, int64_t b, int64_t t) {
        for (int64_t h = 0; h < heads; ++h)
            std::copy_n(merged + (r * heads + h) * s.width, s.width,
                        split + ((b * heads + h) * s.tokens + t) * s.width);
    });
}

void causalSoftmax(float* scores, int64_t rows, int64_t tokens)
{
    at::parallel_for(0, rows, kRowGrain, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            float* row = scores + r * tokens;
            const int64_t seen = r % tokens + 1;
            const float sum = expRow(row, maxRow(row, seen), seen);
            multiplyRow(row, 1.0f / sum, seen);
            std::fill(row + seen, row + tokens, 0.0f);
        }
    });
}

void causalSoftmaxBackward(const float* p, float* dp, int64_t rows, int64_t tokens)
{
    at::parallel_for(0, rows, kRowGrain, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const int64_t seen = r % tokens + 1;
            const float* pRow = p + r * tokens;
            float* row = dp + r * tokens;
            softmaxBackwardRow(pRow, row, dotRow(pRow, row, seen), seen);
            std::fill(row + seen, row + tokens, 0.0f);
        }
    });
}

double crossEntropy(float* logits, const int64_t* targets, int64_t rows, int64_t classes,
                    float scale)
{
    std::vector<double> losses(static_cast<size_t>(rows));
    at::parallel_for(0, rows, 8, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            float* row = logits + r * classes;
            const float top = maxRow(row, classes);
            const float target = row[targets[r]];
            const float sum = expRow(row, top, classes);
            losses[size_t(r)] = std::log(double(sum)) + double(top) - double(target);
            if (scale > 0) {
                multiplyRow(row, scale / sum, classes);
                row[targets[r]] -= scale;
            }
        }
    });
    double total = 0;
    for (const double loss : losses)
        total += loss;
    return total;
}

void adamW(float* w, float* m, float* v, const float* g, int64_t count, const AdamStep& s)
{
    at::parallel_for(0, count, kBlock, [&](int64_t begin, int64_t end) {
        adamRow(w + begin, m + begin, v + begin, g + begin, end - begin, s);
    });
}

double sumOfSquares(const float* x, int64_t count)
{
    const int64_t blocks = (count + kBlock - 1) / kBlock;
    std::vector<double> partial(static_cast<size_t>(blocks));
    at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b)
            partial[size_t(b)] = squaresRow(x + b * kBlock, std::min(kBlock, count - b * kBlock));
    });
    double total = 0;
    for (const double part : partial)
        total += part;
    return total;
}

} // namespace qw::demo
