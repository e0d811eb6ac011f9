#include "model/checkpoint.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

#include <ATen/core/Tensor.h>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "model/dtype.h"
#include "model/safetensors.h"

namespace qw {

namespace {
constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

std::string shapeText(const std::vector<std::int64_t>& shape)
{
    std::ostringstream out;
    out << '[';
    for (std::size_t i = 0; i < shape.size(); ++i) {
        out << (i > 0 ? ", " : "") << shape[i];
    }
    out << ']';
    return out.str();
}

/// A shard's name from the index: a bare file name in the same folder. It may be a link that leads
/// out of it: Hugging Face's cache keeps its files so, and whoever made the link could read the
/// file.
void requirePlainShard(const std::filesystem::path& folder, const std::string& shard)
{
    const bool plain = !shard.empty() && shard != "." && shard != ".." &&
                       shard.find_first_of(std::string("/\\:\0", 4)) == std::string::npos;
    QW_REQUIRE(plain, ErrorCode::BadFile, (folder / kIndexFile).string(), ": the shard name ",
               // Escaped: a NUL would end the sentence here, other bytes could steer a terminal.
               Json(shard).dump(), " is not a plain file name in this folder");
    std::error_code ignored;
    QW_REQUIRE(std::filesystem::exists(folder / shard, ignored), ErrorCode::NotFound,
               (folder / shard).string(), ": the index names this shard, but it is not there");
}
} // namespace

struct Checkpoint::Private {
    std::filesystem::path folder;
    ModelConfig config;
    std::vector<SafetensorsFile> files;
    std::map<std::string, std::size_t> fileOf; // tensor name -> file
    std::string prefix;                        // that the files use, for instance "model."
    std::vector<LinearInfo> linears;
    std::map<std::string, std::string> linearTensors; // module path -> name in the file
    std::vector<std::string> remarks;
    std::set<std::string> used;
    std::int64_t parameters = 0;
    std::int64_t bytes = 0;
    mutable std::string hash;

    void openFiles();
    void openShards();
    void findPrefix();
    const TensorEntry& entry(const std::string& name) const;
    void require(const std::string& name, const std::vector<std::int64_t>& shape);
    void requireNorm(const std::string& module, std::int64_t size);
    void checkModel();
    void checkBlock(std::int64_t block);
    void addLinear(std::int64_t block, const LinearName& name);
    bool hasBias(LinearRole role) const;
    std::string layer(std::int64_t block) const
    {
        return prefix + std::string(config.arch->layers) + std::to_string(block) + ".";
    }
};

void Checkpoint::Private::openFiles()
{
    if (std::filesystem::exists(folder / kSingleFile)) {
        files.emplace_back(folder / kSingleFile);
        for (const auto& [name, tensor] : files.front().entries()) {
            fileOf[name] = 0;
        }
        return;
    }
    if (std::filesystem::exists(folder / kIndexFile)) {
        openShards();
        return;
    }
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
        const auto extension = file.path().extension();
        QW_REQUIRE(extension != ".bin" && extension != ".pt", ErrorCode::Unsupported,
                   file.path().string(),
                   ": pickle files can run any code and are never opened; convert the model to "
                   "safetensors first");
    }
    throw Error(ErrorCode::NotFound,
                message(folder.string(), ": holds neither ", kSingleFile, " nor ", kIndexFile));
}

void Checkpoint::Private::openShards()
{
    const std::string where = (folder / kIndexFile).string();
    const Json index = readJsonFile(folder / kIndexFile, std::int64_t{256} << 20);
    const auto map = index.find("weight_map");
    QW_REQUIRE(map != index.end() && map->is_object(), ErrorCode::BadFile, where,
               ": has no weight_map");
    std::map<std::string, std::size_t> shardNumber;
    for (const auto& [tensor, shard] : map->items()) {
        QW_REQUIRE(shard.is_string(), ErrorCode::BadFile, where, ": the shard of \"", tensor,
                   "\" is not a name");
        const auto name = shard.get<std::string>();
        if (!shardNumber.contains(name)) {
            requirePlainShard(folder, name);
            shardNumber[name] = files.size();
            files.emplace_back(folder / name);
        }
        const std::size_t number = shardNumber.at(name);
        QW_REQUIRE(files[number].entries().contains(tensor), ErrorCode::BadFile, where,
                   ": tensor \"", tensor, "\" is listed in ", name, ", but is not there");
        fileOf[tensor] = number;
    }
    for (std::size_t i = 0; i < files.size(); ++i) {
        for (const auto& [tensor, unused] : files[i].entries()) {
            const auto listed = fileOf.find(tensor);
            QW_REQUIRE(listed != fileOf.end(), ErrorCode::BadFile, files[i].path().string(),
                       ": tensor \"", tensor, "\" is not in the index");
            QW_REQUIRE(listed->second == i, ErrorCode::BadFile, files[i].path().string(),
                       ": tensor \"", tensor, "\" stands in two shards");
        }
    }
}

void Checkpoint::Private::findPrefix()
{
    for (const std::string_view candidate : config.arch->prefixes) {
        const std::string name = std::string(candidate) + std::string(config.arch->embedding);
        if (fileOf.contains(name)) {
            prefix = candidate;
            return;
        }
    }
    throw Error(ErrorCode::BadFile,
                message(folder.string(), ": has no embedding tensor \"", config.arch->prefixes[0],
                        config.arch->embedding, "\" as a ", config.modelType, " model must"));
}

const TensorEntry& Checkpoint::Private::entry(const std::string& name) const
{
    const auto found = fileOf.find(name);
    QW_REQUIRE(found != fileOf.end(), ErrorCode::NotFound, folder.string(), ": tensor \"", name,
               "\" is missing");
    return files[found->second].entries().at(name);
}

/// Notes a tensor as needed and checks it, so that nothing surprises in the middle of a run.
void Checkpoint::Private::require(const std::string& name, const std::vector<std::int64_t>& shape)
{
    const TensorEntry& found = entry(name);
    QW_REQUIRE(found.shape == shape, ErrorCode::BadFile, folder.string(), ": tensor \"", name,
               "\" has shape ", shapeText(found.shape), ", config.json says ", shapeText(shape));
    QW_REQUIRE(found.dtype == "F32" || found.dtype == "F16" || found.dtype == "BF16",
               ErrorCode::Unsupported, folder.string(), ": tensor \"", name, "\" has dtype ",
               found.dtype, "; only F32, F16 and BF16 weights are supported");
    if (used.insert(name).second) {
        std::int64_t count = 1;
        for (const std::int64_t dim : shape) {
            count *= dim;
        }
        parameters += count;
        bytes += static_cast<std::int64_t>(found.bytes);
    }
}

void Checkpoint::Private::requireNorm(const std::string& module, std::int64_t size)
{
    require(module + ".weight", {size});
    if (config.arch->norm == Norm::Layer) {
        require(module + ".bias", {size});
    }
}

bool Checkpoint::Private::hasBias(LinearRole role) const
{
    switch (role) {
    case LinearRole::Query:
    case LinearRole::Key:
    case LinearRole::Value:
    case LinearRole::FusedQkv:
        return config.qkvBias;
    case LinearRole::AttentionOut:
        return config.attentionOutBias;
    default:
        return config.mlpBias;
    }
}

void Checkpoint::Private::addLinear(std::int64_t block, const LinearName& name)
{
    const std::int64_t queries = config.heads * config.headDim;
    const std::int64_t keys = config.kvHeads * config.headDim;
    LinearInfo info;
    info.role = name.role;
    info.block = block;
    info.hasBias = hasBias(name.role);
    info.in = config.hidden;
    switch (name.role) {
    case LinearRole::Query:
        info.out = queries;
        break;
    case LinearRole::Key:
    case LinearRole::Value:
        info.out = keys;
        break;
    case LinearRole::FusedQkv:
        info.out = queries + 2 * keys;
        break;
    case LinearRole::AttentionOut:
        info.in = queries;
        info.out = config.hidden;
        info.inputGroup = 1;
        break;
    case LinearRole::Gate:
    case LinearRole::Up:
        info.out = config.intermediate;
        info.inputGroup = 2;
        break;
    case LinearRole::Down:
        info.in = config.intermediate;
        info.out = config.hidden;
        info.inputGroup = 3;
        break;
    }
    const std::string inFile = layer(block) + std::string(name.name);
    const bool transposed = config.arch->weightStoredInByOut;
    require(inFile + ".weight",
            transposed ? std::vector{info.in, info.out} : std::vector{info.out, info.in});
    if (info.hasBias) {
        require(inFile + ".bias", {info.out});
    }
    info.dtype = entry(inFile + ".weight").dtype;
    // Users know layers by the module path of the full model, whatever prefix the file has.
    info.name = std::string(config.arch->prefixes.front()) + inFile.substr(prefix.size());
    linearTensors[info.name] = inFile;
    linears.push_back(info);
}

void Checkpoint::Private::checkBlock(std::int64_t block)
{
    requireNorm(layer(block) + std::string(config.arch->attentionNorm), config.hidden);
    requireNorm(layer(block) + std::string(config.arch->mlpNorm), config.hidden);
    for (const LinearName& name : config.arch->linears) {
        addLinear(block, name);
    }
    if (config.arch->queryKeyNorm) {
        require(layer(block) + "self_attn.q_norm.weight", {config.headDim});
        require(layer(block) + "self_attn.k_norm.weight", {config.headDim});
    }
}

void Checkpoint::Private::checkModel()
{
    const ArchSpec& arch = *config.arch;
    const std::string embedding = prefix + std::string(arch.embedding);
    const std::vector<std::int64_t> shape = entry(embedding).shape;
    QW_REQUIRE(shape.size() == 2 && shape[0] > 0, ErrorCode::BadFile, folder.string(),
               ": the embedding \"", embedding, "\" is not a matrix");
    if (shape[0] != config.vocabSize) { // padded vocabularies: the tensor decides
        remarks.push_back(
            message("the embedding has ", shape[0], " rows, config.json says ", config.vocabSize));
        config.vocabSize = shape[0];
    }
    require(embedding, {config.vocabSize, config.embeddingDim});
    if (!arch.positions.empty()) {
        require(prefix + std::string(arch.positions),
                {config.maxPositions + arch.positionOffset, config.hidden});
    }
    if (config.embeddingDim != config.hidden) {
        require(prefix + "project_in.weight", {config.hidden, config.embeddingDim});
        require(prefix + "project_out.weight", {config.embeddingDim, config.hidden});
    }
    // One missing block would otherwise be found after a billion others were asked for.
    QW_REQUIRE(config.layers <= static_cast<std::int64_t>(fileOf.size()), ErrorCode::BadFile,
               folder.string(), ": config.json says ", config.layers, " layers, the files hold ",
               fileOf.size(), " tensors");
    for (std::int64_t block = 0; block < config.layers; ++block) {
        checkBlock(block);
    }
    if (config.finalNorm) {
        requireNorm(prefix + std::string(arch.finalNorm), config.hidden);
    }
    if (!config.tiedEmbeddings) {
        require(std::string(arch.lmHead), {config.vocabSize, config.embeddingDim});
    }
    const auto unused = static_cast<std::int64_t>(fileOf.size() - used.size());
    if (unused > 0) {
        remarks.push_back(message(counted(unused, "tensor"), " of the files ",
                                  unused == 1 ? "is" : "are", " not used by the decoder"));
    }
}

Checkpoint::Checkpoint(const std::filesystem::path& folder) : d(std::make_unique<Private>())
{
    d->folder = folder;
    QW_REQUIRE(std::filesystem::is_directory(folder), ErrorCode::NotFound, folder.string(),
               ": there is no such model folder");
    const auto file = folder / "config.json";
    QW_REQUIRE(std::filesystem::exists(file), ErrorCode::NotFound, folder.string(),
               ": has no config.json, so it is no model folder");
    d->config = parseModelConfig(readJsonFile(file, 1 << 20), file.string());
    d->remarks = d->config.remarks;
    d->openFiles();
    d->findPrefix();
    d->checkModel();
}

Checkpoint::~Checkpoint() = default;

const std::filesystem::path& Checkpoint::folder() const
{
    return d->folder;
}

const ModelConfig& Checkpoint::config() const
{
    return d->config;
}

const std::vector<LinearInfo>& Checkpoint::linears() const
{
    return d->linears;
}

std::vector<LinearInfo> Checkpoint::linearsOf(std::int64_t block) const
{
    std::vector<LinearInfo> result;
    std::copy_if(d->linears.begin(), d->linears.end(), std::back_inserter(result),
                 [&](const LinearInfo& linear) { return linear.block == block; });
    return result;
}

std::int64_t Checkpoint::parameters() const
{
    return d->parameters;
}

std::int64_t Checkpoint::bytes() const
{
    return d->bytes;
}

const std::vector<std::string>& Checkpoint::remarks() const
{
    return d->remarks;
}

bool Checkpoint::has(const std::string& tensor) const
{
    return d->fileOf.contains(tensor);
}

at::Tensor Checkpoint::tensor(const std::string& name) const
{
    d->entry(name); // throws with the folder's name if missing
    return d->files[d->fileOf.at(name)].borrow(name);
}

std::string Checkpoint::fullName(const std::string& relative) const
{
    return d->prefix + relative;
}

at::Tensor Checkpoint::linearWeight(const LinearInfo& linear) const
{
    const at::Tensor stored = tensor(d->linearTensors.at(linear.name) + ".weight");
    return d->config.arch->weightStoredInByOut ? stored.t() : stored;
}

at::Tensor Checkpoint::linearBias(const LinearInfo& linear) const
{
    return linear.hasBias ? tensor(d->linearTensors.at(linear.name) + ".bias") : at::Tensor();
}

void Checkpoint::releaseLinear(const LinearInfo& linear) const
{
    release(d->linearTensors.at(linear.name) + ".weight");
}

void Checkpoint::releaseBlock(std::int64_t block) const
{
    const std::string start = d->layer(block);
    for (auto at = d->fileOf.lower_bound(start);
         at != d->fileOf.end() && at->first.rfind(start, 0) == 0; ++at) {
        release(at->first);
    }
}

void Checkpoint::release(const std::string& tensor) const
{
    d->files[d->fileOf.at(tensor)].release(tensor);
}

std::string Checkpoint::hash(const RunContext& run) const
{
    if (d->hash.empty()) {
        Hasher hasher;
        hasher.add(readTextFile(d->folder / "config.json", 1 << 20));
        for (const std::string& name : d->used) {
            const SafetensorsFile& file = d->files[d->fileOf.at(name)];
            const TensorEntry& found = file.entries().at(name);
            hasher.add(name);
            hasher.add(found.dtype);
            hasher.add(file.bytes(found), run);
            file.release(name);
        }
        d->hash = hasher.hex();
    }
    return d->hash;
}

} // namespace qw
