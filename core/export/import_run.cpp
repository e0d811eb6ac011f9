#include <algorithm>
#include <optional>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/utc_time.h"
#include "engine.h"
#include "export/import_source.h"
#include "export/integer_weight.h"
#include "export/run_model.h"
#include "report/imported.h"
#include "run/layer_measure.h"
#include "run/stopwatch.h"
#include "store/run_store.h"

namespace qw {

namespace {
/// The folder of a run, gone again unless it is kept.
class RunFolder
{
public:
    explicit RunFolder(std::filesystem::path path) : m_path(std::move(path)) {}
    ~RunFolder()
    {
        std::error_code ignored;
        if (!m_kept) {
            std::filesystem::remove_all(m_path, ignored);
        }
    }
    RunFolder(const RunFolder&) = delete;
    RunFolder& operator=(const RunFolder&) = delete;
    const std::filesystem::path& path() const { return m_path; }
    void keep() { m_kept = true; }

private:
    std::filesystem::path m_path;
    bool m_kept = false;
};

/// The narrowest float type that holds all values.
at::Tensor narrowed(const at::Tensor& tensor)
{
    for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
        if (exactIn(tensor, type)) {
            return tensor.to(type);
        }
    }
    return tensor;
}

class Importer
{
public:
    Importer(const ImportOptions& options, RunStore& store, const RunContext& run)
        : m_options(options), m_store(store), m_run(run)
    {
    }
    RunResult execute();

private:
    void openModel(const std::filesystem::path& folder);
    void importBlock(std::int64_t block, const ArtifactFolder& artifact);
    void importOutside(const ArtifactFolder& artifact);
    at::Tensor readTensor(const std::string& name, const at::Tensor& own);
    void keepIfOther(const std::string& name, const at::Tensor& read, const at::Tensor& own,
                     ReplacedTensors& replaced);
    void refuseBias(const std::string& name);
    QuantizedLinear layerFrom(const LinearInfo& info, const StoredCodes& stored);
    void addFactors(QuantizedLinear& linear);
    void measure(const LinearInfo& info, const QuantizedLinear& linear, const at::Tensor& weight,
                 BlockArtifact& artifact);
    void describeWeights();
    void saySubstitutions();
    void describeRun();

    const ImportOptions& m_options;
    RunStore& m_store;
    const RunContext& m_run;
    RunResult m_result;
    std::optional<Checkpoint> m_checkpoint;
    ImportSource m_source;
    Hasher m_hasher;
    std::vector<WeightFormat> m_formats; ///< of the layers with codes
    std::int64_t m_weights = 0;          ///< of the same
    std::vector<std::string> m_lacking;  ///< what the model written for it does not have
    std::int64_t m_others = 0;           ///< tensors that differ from the model's
    double m_largestGap = 0;
    bool m_wrapped = false; ///< zero points that clients read in two ways
};

void Importer::openModel(const std::filesystem::path& folder)
{
    RunSpec& spec = m_result.spec;
    spec.method = kImported;
    spec.evaluation = m_options.evaluation;
    spec.device = m_options.device;
    spec.model = m_options.model;
    if (spec.model.empty()) {
        const auto source = std::filesystem::absolute(m_options.source).lexically_normal();
        const auto written = folder / source.stem();
        m_lacking = writeOriginal(m_options.source, written, m_run);
        QW_REQUIRE(m_lacking.empty() || m_options.evaluation.text.empty(), ErrorCode::Unsupported,
                   m_options.source.string(), ": ", m_lacking.front(),
                   "; give the folder of the model that it was made of (--model)");
        spec.model = written.string();
    }
    m_checkpoint.emplace(resolveModel(spec.model));
    m_source = openSource(m_options, m_checkpoint->config());
}

at::Tensor Importer::readTensor(const std::string& name, const at::Tensor& own)
{
    const std::string module = name.substr(0, name.rfind('.'));
    const bool matrix = own.dim() == 2 && name.ends_with(".weight");
    // A head may be codes too, and is in the orientation of linear layers in any file.
    const at::Tensor read = matrix && !m_source.reader->has(name)
                                ? m_source.reader->linearWeight(module, own.size(0), own.size(1))
                                : m_source.reader->tensor(name);
    QW_REQUIRE(read.sizes() == own.sizes(), ErrorCode::BadFile, m_options.source.string(),
               ": tensor \"", name, "\" is ", read.sizes(), ", that of the model ", own.sizes());
    return read;
}

void Importer::keepIfOther(const std::string& name, const at::Tensor& read, const at::Tensor& own,
                           ReplacedTensors& replaced)
{
    QW_REQUIRE(at::isfinite(read).all().item<bool>(), ErrorCode::BadFile, m_options.source.string(),
               ": tensor \"", name, "\" holds what is not a finite number");
    const double gap = (read - own.to(at::kFloat)).abs().max().item<double>();
    if (gap > 0) {
        replaced[name] = narrowed(read);
        ++m_others;
        m_largestGap = std::max(m_largestGap, gap);
    }
}

/// Some writers add biases of zeros; any other would be lost.
void Importer::refuseBias(const std::string& name)
{
    QW_REQUIRE(!m_source.reader->has(name) ||
                   m_source.reader->tensor(name).eq(0).all().item<bool>(),
               ErrorCode::Unsupported, m_options.source.string(), ": tensor \"", name,
               "\" is a bias that the model has no place for");
}

void Importer::addFactors(QuantizedLinear& linear)
{
    if (m_source.adapter == nullptr) {
        return;
    }
    const AdapterReader::Factors factors = m_source.adapter->factors(linear.name);
    if (!factors.a.defined()) {
        return;
    }
    const bool fits = factors.a.dim() == 2 && factors.b.dim() == 2 &&
                      factors.a.size(0) == linear.in && factors.b.size(1) == linear.out &&
                      factors.a.size(1) == factors.b.size(0) &&
                      factors.a.size(1) <= std::min(linear.in, linear.out);
    QW_REQUIRE(fits, ErrorCode::BadFile, m_options.adapter.string(), ": the factors of ",
               linear.name, " are ", factors.a.sizes(), " and ", factors.b.sizes(),
               ", which do not fit its ", linear.in, " inputs and ", linear.out, " outputs");
    QW_REQUIRE(at::isfinite(factors.a).all().item<bool>() &&
                   at::isfinite(factors.b).all().item<bool>(),
               ErrorCode::BadFile, m_options.adapter.string(), ": the factors of ", linear.name,
               " hold what is not a finite number");
    linear.a.value = factors.a;
    linear.b.value = factors.b.to(at::kFloat).contiguous();
    m_result.rank = std::max(m_result.rank, linear.rank());
}

QuantizedLinear Importer::layerFrom(const LinearInfo& info, const StoredCodes& stored)
{
    QuantizedLinear linear = importedLinear(info.name, stored);
    if (m_source.wrapsZeros && stored.zero.eq(0).any().item<bool>()) {
        m_wrapped = true;
    }
    if (m_source.tokenActivations) {
        linear.activation.kind = ActivationQuantizer::Kind::TokenSymmetric;
        linear.activation.bits = 8;
    }
    addFactors(linear);
    m_formats.push_back(linear.format);
    return linear;
}

void Importer::measure(const LinearInfo& info, const QuantizedLinear& linear,
                       const at::Tensor& weight, BlockArtifact& artifact)
{
    const LayerMeasure measure(weight.to(at::kFloat).contiguous(), {}, linear, m_run);
    const LayerResult layer = measure.atRank(linear.rank(), m_run);
    artifact.results.front().push_back(layer);
    m_result.layers.push_back(layer);
    m_result.bytes += layer.bytes;
    m_weights += info.out * info.in;
    m_result.bytesOriginal += info.out * info.in * (info.dtype == "F32" ? 4 : 2);
    addToHash(linear, m_hasher);
}

void Importer::importBlock(std::int64_t block, const ArtifactFolder& folder)
{
    BlockArtifact artifact;
    artifact.block = block;
    artifact.results.resize(1);
    const ModelPart part = originalPart(*m_checkpoint, block);
    for (const auto& [name, own] : part.plain) {
        keepIfOther(name, readTensor(name, own), own, artifact.replaced);
    }
    for (const LinearInfo& info : m_checkpoint->linearsOf(block)) {
        m_run.checkpoint(block, info.name);
        const at::Tensor own = part.keptLinears.at(info.name);
        if (!info.hasBias) {
            refuseBias(info.name + ".bias");
        }
        if (const auto stored = m_source.reader->codes(info.name, info.out, info.in)) {
            artifact.linears.push_back(layerFrom(info, *stored));
            measure(info, artifact.linears.back(), own, artifact);
        } else {
            keepIfOther(info.name + ".weight",
                        m_source.reader->plainWeight(info.name, info.out, info.in), own,
                        artifact.replaced);
        }
    }
    addToHash(artifact.replaced, m_hasher);
    folder.writeBlock(artifact);
    m_checkpoint->releaseBlock(block);
}

void Importer::importOutside(const ArtifactFolder& artifact)
{
    const ModelConfig& config = m_checkpoint->config();
    ModelArtifact model;
    for (const auto& [name, own] : originalPart(*m_checkpoint, -1).plain) {
        keepIfOther(name, readTensor(name, own), own, model.replaced);
    }
    // GGUF: a tied model whose head was stored all the same has one of its own.
    const std::string head(config.arch->lmHead);
    if (config.tiedEmbeddings && m_source.title == "GGUF" && m_source.reader->has(head)) {
        const std::string embedding =
            std::string(config.arch->prefixes.front()) + std::string(config.arch->embedding);
        const at::Tensor own =
            m_checkpoint->tensor(m_checkpoint->fullName(std::string(config.arch->embedding)));
        const at::Tensor read = readTensor(head, own);
        const auto other = model.replaced.find(embedding);
        if (!read.equal((other == model.replaced.end() ? own : other->second).to(at::kFloat))) {
            model.replaced[head] = narrowed(read);
        }
    }
    addToHash(model, m_hasher);
    artifact.writeModel(model);
}

/// The settings of most layers stand for all.
void Importer::describeWeights()
{
    QW_REQUIRE(!m_formats.empty(), ErrorCode::BadFile, m_options.source.string(),
               ": holds no layer as codes");
    const auto count = [&](const WeightFormat& format) {
        return std::count(m_formats.begin(), m_formats.end(), format);
    };
    const WeightFormat& most =
        *std::max_element(m_formats.begin(), m_formats.end(),
                          [&](const auto& a, const auto& b) { return count(a) < count(b); });
    WeightSpec& weight = m_result.spec.weight;
    weight.bits = most.bits;
    weight.groupSize = most.groupSize;
    weight.sym = most.sym;
    weight.scaleDtype = scaleTypeName(most.scaleDtype);
    m_result.spec.lowRank.rank = m_result.rank;
    if (m_source.tokenActivations) {
        m_result.spec.activation.format = "int";
    }
    const auto alike = count(most);
    const auto all = static_cast<std::ptrdiff_t>(m_formats.size());
    if (alike < all) {
        m_result.substitutions.push_back(message("the settings are those of ", alike, " of ",
                                                 counted(all, "layer"),
                                                 "; the others are stored otherwise"));
    }
}

void Importer::saySubstitutions()
{
    std::vector<std::string>& said = m_result.substitutions;
    said.insert(said.begin(),
                message("imported from ", m_options.source.string(), " (", m_source.title, ")"));
    if (m_options.model.empty()) {
        said.emplace_back("the model it was made of is not known: the values of its codes stand "
                          "in for it, so that errors and divergences are zero");
        said.insert(said.end(), m_lacking.begin(), m_lacking.end());
    } else if (m_others > 0) {
        said.push_back(
            message(counted(m_others, "tensor"),
                    m_others == 1 ? " that is no codes differs" : " that are no codes differ",
                    " from the model's, by at most ", m_largestGap));
    }
    for (const auto& more : {m_source.notDone, m_source.reader->remarks()}) {
        said.insert(said.end(), more.begin(), more.end());
    }
    if (m_wrapped) {
        said.emplace_back("zero points that version 1 of GPTQ cannot hold are read as 0; some "
                          "clients read another number");
    }
    std::vector<std::string> unread = m_source.reader->unread();
    if (m_source.adapter != nullptr) {
        const auto more = m_source.adapter->unread();
        unread.insert(unread.end(), more.begin(), more.end());
    }
    const std::optional<QuantizedFiles> files = findQuantized(m_options.source);
    if (m_source.adapter == nullptr && files && !files->adapter.empty()) {
        said.push_back(
            message("the low-rank correction beside it is left out: import with --adapter ",
                    files->adapter.string(), " to have it"));
    }
    if (!unread.empty()) {
        said.push_back(
            unread.size() == 1
                ? message("a tensor of the files has no use here: ", unread.front())
                : message(unread.size(),
                          " tensors of the files have no use here, the first: ", unread.front()));
    }
}

void Importer::describeRun()
{
    const EngineInfo info = engineInfo();
    m_result.status = "finished";
    m_result.provenance.program = info.version;
    m_result.provenance.torch = info.torch;
    m_result.provenance.modelHash = m_checkpoint->hash(m_run);
    m_result.provenance.threads = at::get_num_threads();
    m_result.provenance.device = "cpu";
    m_result.provenance.cpu = info.cpu;
    m_result.bitsPerWeight =
        static_cast<double>(m_result.bytes) * 8 / static_cast<double>(m_weights);
    m_result.estimate.bytes = m_result.bytes;
    m_result.estimate.bitsPerWeight = m_result.bitsPerWeight;
    m_result.artifactHash = m_hasher.hex();
}

RunResult Importer::execute()
{
    const at::NoGradGuard noGrad;
    returnFreedMemory(); // what ran before in this process is no part of it
    restartPeakRss();
    Stopwatch watch;
    watch.begin("import");
    m_result.id = m_store.newRunId();
    m_result.started = utcNow();
    RunFolder folder(m_options.workFolder / m_result.id);
    openModel(folder.path());
    const ArtifactFolder artifact(
        folder.path(),
        hashOf(message("import ", m_options.source.string(), m_checkpoint->hash(m_run))));
    artifact.makeFolder();
    const FileLock lock(artifact.lockFile());
    artifact.create(false);
    const std::int64_t blocks = m_checkpoint->config().layers;
    m_run.beginPhase("import", blocks + 1);
    for (std::int64_t block = 0; block < blocks; ++block) {
        m_run.checkpoint(block);
        importBlock(block, artifact);
    }
    importOutside(artifact);
    describeWeights();
    saySubstitutions();
    describeRun();
    m_result.artifactFolder = folder.path().string();
    artifact.finish({{"format", "quant-workbench artifact 1"},
                     {"spec", toJson(m_result.spec)},
                     {"runs", Json::array({toPublicJson(m_result, false)})}});
    m_result.peakRssBytes = recentPeakRssBytes();
    if (!m_options.evaluation.text.empty()) {
        watch.begin("evaluate");
        const EvaluationResult measured = evaluateModel(
            m_result.spec.model, &m_result, m_options.evaluation, m_options.device, m_run);
        m_result.score = measured.score;
        m_result.comparison = measured.comparison;
        m_result.peakRssBytes = std::max(m_result.peakRssBytes, measured.peakRssBytes);
        m_result.provenance.evaluationHash = measured.score.textHash;
        m_result.provenance.tokenizerHash = measured.score.tokenizerHash;
    }
    watch.end();
    m_result.phases = watch.phases();
    m_result.seconds = watch.total();
    m_run.checkpoint();
    m_store.save(m_result);
    folder.keep();
    return m_result;
}
} // namespace

RunResult importRun(const ImportOptions& options, RunStore& store, const RunContext& run)
{
    QW_REQUIRE(std::filesystem::exists(options.source), ErrorCode::NotFound,
               options.source.string(), ": there is no such file or folder");
    RunSpec checked; // the same rules as for a run
    checked.model = options.model.empty() ? options.source.string() : options.model;
    checked.evaluation = options.evaluation;
    validate(checked);
    requireDevice(options.device);
    ImportOptions wanted = options;
    if (const auto found = findQuantized(options.source)) {
        wanted.source = found->model;
    }
    return Importer(wanted, store, run).execute();
}

} // namespace qw
