#include <algorithm>

#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "base/files.h"
#include "base/utc_time.h"
#include "engine.h"
#include "engine_export.h"
#include "export/export_files.h"
#include "export/model_card.h"
#include "export/verify.h"
#include "store/run_store.h"

namespace qw {

namespace {
/// What a file of an export is called where the user named the model's file.
std::string nameBeside(const std::filesystem::path& model, const std::string& file)
{
    return file == kGgufModelFile ? model.filename().string() : model.stem().string() + "-" + file;
}

/// A folder beside the target under another name, gone again unless it is given its own.
class TemporaryFolder
{
public:
    explicit TemporaryFolder(const std::filesystem::path& target)
        : m_target(target),
          m_path(target.parent_path() / message(".", target.filename().string(), ".exporting"))
    {
        std::error_code problem;
        std::filesystem::remove_all(m_path, problem); // of an export that was killed
        std::filesystem::create_directory(m_path, problem);
        QW_REQUIRE(!problem, ErrorCode::Io, m_path.string(),
                   ": cannot be made: ", problem.message());
    }
    ~TemporaryFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(m_path, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return m_path; }
    void keep() { move(m_path, m_target); }
    /// The user named a file: all files lie beside it.
    /// @param files  in the folder; their names afterwards, beside the target
    void keepAsFiles(std::vector<std::string>& files)
    {
        std::vector<std::string> names;
        for (const std::string& file : files) {
            names.push_back(nameBeside(m_target, file));
            QW_REQUIRE(!std::filesystem::exists(m_target.parent_path() / names.back()),
                       ErrorCode::BadInput, names.back(),
                       ": is there already; exports replace nothing");
        }
        for (std::size_t i = 0; i < files.size(); ++i) {
            move(m_path / files[i], m_target.parent_path() / names[i]);
        }
        files = names;
    }

private:
    static void move(const std::filesystem::path& from, const std::filesystem::path& to)
    {
        std::error_code problem;
        std::filesystem::rename(from, to, problem);
        QW_REQUIRE(!problem, ErrorCode::Io, to.string(),
                   ": cannot be written: ", problem.message());
    }

    std::filesystem::path m_target;
    std::filesystem::path m_path;
};

std::filesystem::path checkedTarget(const std::filesystem::path& out)
{
    QW_REQUIRE(!out.empty(), ErrorCode::BadInput, "give the folder to write");
    std::filesystem::path target = std::filesystem::absolute(out).lexically_normal();
    if (!target.has_filename()) { // "folder/"
        target = target.parent_path();
    }
    QW_REQUIRE(!std::filesystem::exists(target), ErrorCode::BadInput, target.string(),
               ": is there already; exports replace nothing");
    QW_REQUIRE(std::filesystem::is_directory(target.parent_path()), ErrorCode::NotFound,
               target.parent_path().string(), ": there is no such folder to export into");
    return target;
}

/// A folder from anywhere; other names are a hub's.
std::string namedBase(const std::string& base)
{
    return !base.empty() && std::filesystem::is_directory(base)
               ? std::filesystem::absolute(base).lexically_normal().string()
               : base;
}

void writeText(const std::filesystem::path& file, const std::string& text)
{
    AtomicFile out(file);
    out.write(text);
    out.commit();
}

void listFiles(const std::filesystem::path& folder, ExportReport& report)
{
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder)) {
        if (file.is_regular_file()) {
            report.files.push_back(std::filesystem::relative(file.path(), folder).string());
            report.bytes += static_cast<std::int64_t>(file.file_size());
        }
    }
    std::sort(report.files.begin(), report.files.end());
}

std::vector<ExportPlan> planAll(const RunFacts& facts, const ExportOptions& options)
{
    std::vector<ExportPlan> plans;
    for (const std::string& target : exportTargets()) {
        ExportOptions one = options;
        one.target = target;
        plans.push_back(planTarget(facts, one).shown);
    }
    return plans;
}

void record(RunStore& store, const std::string& id, const ExportReport& report,
            const std::filesystem::path& target)
{
    RunResult run = store.get(id); // as it is now
    run.exports.push_back({report.plan.target, target.string(), utcNow(), report.bytes,
                           report.lossless, report.maxAbsDifference, report.verdict});
    store.save(run);
}
} // namespace

ExportPlan planExport(const RunResult& run, const ExportOptions& options, const RunContext& context)
{
    const at::NoGradGuard noGrad;
    const RunModel model(run, context);
    return planTarget(gatherFacts(model, context), options).shown;
}

std::vector<ExportPlan> planExports(const RunResult& run, const ExportOptions& options,
                                    const RunContext& context)
{
    const at::NoGradGuard noGrad;
    const RunModel model(run, context);
    return planAll(gatherFacts(model, context), options);
}

std::vector<ExportPlan> foreseeExports(const RunSpec& spec)
{
    const at::NoGradGuard noGrad;
    const Checkpoint checkpoint(resolveModel(spec.model));
    return planAll(foreseenFacts(spec, checkpoint), {});
}

ExportReport exportRun(const RunResult& run, RunStore* store, const ExportOptions& options,
                       const RunContext& context)
{
    const at::NoGradGuard noGrad;
    const std::filesystem::path target = checkedTarget(options.out);
    const RunModel model(run, context);
    const RunFacts facts = gatherFacts(model, context);
    const TargetPlan plan = planTarget(facts, options);
    QW_REQUIRE(plan.shown.possible, ErrorCode::Unsupported, "run ", run.id,
               " cannot be exported as ", plan.shown.target, ": ", plan.shown.refusal);
    requireSpace(target.parent_path(), plan.shown.bytes, "the export takes");

    TemporaryFolder folder(target);
    const bool peft = plan.shown.target == "peft";
    const bool asFiles = target.extension() == ".gguf" && plan.shown.target == "gguf";
    const std::string base =
        peft || !options.base.empty() ? namedBase(options.base) : target.string();
    writeExport(model, facts, plan, folder.path(), base, context);
    const ExportedFiles files = readExport(facts, plan, folder.path());
    const Verification verification =
        verifyExport(model, plan, files.base.get(), files.adapter.get(), context);
    const auto named = [&](const char* file) {
        return asFiles ? nameBeside(target, file) : std::string(file);
    };
    writeText(folder.path() / "README.md",
              modelCard(run, facts, plan, verification,
                        {named(kGgufModelFile), named(kGgufAdapterFile), peft ? base : ""}));

    ExportReport report;
    report.plan = plan.shown;
    report.lossless = verification.maxAbsDifference == 0 && plan.shown.lost.empty();
    report.maxAbsDifference = verification.maxAbsDifference;
    report.maxLogitDifference = verification.maxLogitDifference;
    report.verdict = verdictOf(verification);
    listFiles(folder.path(), report);
    context.checkpoint();
    if (asFiles) {
        folder.keepAsFiles(report.files);
    } else {
        folder.keep();
    }
    if (store != nullptr && store->writable()) {
        record(*store, run.id, report, target);
    } else if (store != nullptr) {
        context.log(store->file().string() +
                    ": the store cannot be written: the export is not noted there");
    }
    return report;
}

} // namespace qw
