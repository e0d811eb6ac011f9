#include <cmath>
#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "engine.h"
#include "session.h"
#include "spec_flags.h"
#include "table.h"

namespace qw::cli {

namespace {
struct Options {
    std::string model;
    std::string layer;
    bool spectrum = false;
    bool csv = false;
};

Json toJson(const LayerOverview& layer)
{
    return {{"name", layer.name},
            {"rows", layer.rows},
            {"cols", layer.cols},
            {"parameters", layer.parameters},
            {"dtype", layer.dtype},
            {"minimum", finiteOrNull(layer.minimum)},
            {"maximum", finiteOrNull(layer.maximum)},
            {"standard_deviation", finiteOrNull(layer.standardDeviation)},
            {"outlier_ratio", finiteOrNull(layer.outlierRatio)}};
}

Json toJson(const ModelOverview& model)
{
    Json layers = Json::array();
    for (const LayerOverview& layer : model.layers) {
        layers.push_back(toJson(layer));
    }
    return {{"folder", model.folder},
            {"architecture", model.architecture},
            {"parameters", model.parameters},
            {"bytes", model.bytes},
            {"vocab_size", model.vocabSize},
            {"hidden", model.hidden},
            {"intermediate", model.intermediate},
            {"blocks", model.blocks},
            {"heads", model.heads},
            {"kv_heads", model.kvHeads},
            {"head_dim", model.headDim},
            {"max_positions", model.maxPositions},
            {"tied_embeddings", model.tiedEmbeddings},
            {"remarks", model.remarks},
            {"layers", layers}};
}

void printTable(const ModelOverview& model)
{
    std::cout << model.folder << ": " << model.architecture << ", "
              << counted(model.blocks, "block") << ", hidden " << model.hidden << ", "
              << model.heads << "/" << model.kvHeads << " heads of " << model.headDim
              << ", vocabulary " << model.vocabSize << ", " << model.parameters << " parameters, "
              << formatMegabytes(model.bytes) << '\n';
    for (const std::string& remark : model.remarks) {
        std::cout << "note: " << remark << '\n';
    }
    Table table({"layer", "shape", "dtype", "range", "outlier ratio"});
    for (const LayerOverview& layer : model.layers) {
        table.add({layer.name, std::to_string(layer.rows) + " x " + std::to_string(layer.cols),
                   layer.dtype,
                   formatNumber(layer.minimum, 3) + " .. " + formatNumber(layer.maximum, 3),
                   formatNumber(layer.outlierRatio, 1)});
    }
    std::cout << table.text();
}

void printCsv(const ModelOverview& model)
{
    std::cout << "layer,rows,cols,dtype,minimum,maximum,standard_deviation,outlier_ratio\n";
    for (const LayerOverview& layer : model.layers) {
        std::cout << layer.name << ',' << layer.rows << ',' << layer.cols << ',' << layer.dtype
                  << ',' << formatCsv(layer.minimum) << ',' << formatCsv(layer.maximum) << ','
                  << formatCsv(layer.standardDeviation) << ',' << formatCsv(layer.outlierRatio)
                  << '\n';
    }
}

void printSpectra(const Session& session, const LayerSpectra& spectra, bool csv)
{
    if (session.json) {
        Json curves = Json::array();
        for (const LayerSpectra::Curve& curve : spectra.curves) {
            curves.push_back({{"kind", curve.kind},
                              {"frobenius", finiteOrNull(curve.frobenius)},
                              {"values", curve.values},
                              {"normalized", curve.normalized}});
        }
        printJson(Json{{"layer", spectra.layer},
                       {"stable_rank", finiteOrNull(spectra.stableRank)},
                       {"marchenko_pastur_edge", finiteOrNull(spectra.marchenkoPasturEdge)},
                       {"above_edge", spectra.aboveEdge},
                       {"curves", curves}});
        return;
    }
    const char* separator = csv ? "," : "  ";
    if (!csv) {
        std::cout << spectra.layer << ": stable rank " << formatNumber(spectra.stableRank, 1)
                  << ", " << spectra.aboveEdge
                  << " singular values above the Marchenko-Pastur edge "
                  << formatNumber(spectra.marchenkoPasturEdge, 4)
                  << "\nnormalized to equal Frobenius norm:\n";
    }
    std::cout << "index";
    for (const LayerSpectra::Curve& curve : spectra.curves) {
        std::cout << separator << curve.kind;
    }
    std::cout << '\n';
    for (std::size_t i = 0; i < spectra.curves.front().values.size(); ++i) {
        std::cout << i + 1;
        for (const LayerSpectra::Curve& curve : spectra.curves) {
            const bool there = i < curve.normalized.size();
            const double value = there ? curve.normalized[i] : kMissing;
            std::cout << separator << (csv ? formatCsv(value) : formatNumber(value, 6));
        }
        std::cout << '\n';
    }
}

int inspect(const Session& session, const Options& options, const SpecFlags& flags)
{
    QW_REQUIRE(!(options.csv && session.json), ErrorCode::BadInput,
               "--csv and --json exclude each other");
    session.startEngine();
    QW_REQUIRE(options.spectrum == !options.layer.empty(), ErrorCode::BadInput,
               "--spectrum and --layer NAME go together");
    if (options.spectrum) {
        RunStore store = session.existingStore();
        printSpectra(session,
                     layerSpectra(flags.result(options.model, session.device, session.threads,
                                               {flags.spec.method, "l2qer"}), // of the curve S E
                                  options.layer, &store, session.context()),
                     options.csv);
        return 0;
    }
    const ModelOverview model = inspectModel(options.model, true, session.context());
    if (session.json) {
        printJson(toJson(model));
    } else if (options.csv) {
        printCsv(model);
    } else {
        printTable(model);
    }
    return 0;
}
} // namespace

void addInspect(CLI::App& app, Session& session)
{
    CLI::App& command = *app.add_subcommand("inspect", "Show a model, or the spectra of a layer");
    session.addTo(command);
    static Options options;
    static SpecFlags flags;
    command.add_option("model", options.model, "Model folder, or demo")->required();
    command.add_option("--layer", options.layer, "Name of a linear layer");
    command.add_flag("--spectrum", options.spectrum,
                     "Singular values of W and of the error E; with --calibration also of S E and "
                     "R^1/2 E");
    command.add_flag("--csv", options.csv, "Comma-separated values");
    flags.addTo(command, true);
    command.footer("Examples:\n  qw inspect demo\n  qw inspect demo --csv > layers.csv\n"
                   "  qw inspect demo --layer model.layers.0.mlp.down_proj --spectrum "
                   "--bits 3 --calibration demo:calibration");
    onRun(command, [&session] { return inspect(session, options, flags); });
}

} // namespace qw::cli
