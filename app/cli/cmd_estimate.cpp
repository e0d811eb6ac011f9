#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "engine.h"
#include "session.h"
#include "spec_flags.h"
#include "table.h"

namespace qw::cli {

void addEstimate(CLI::App& app, Session& session)
{
    CLI::App& command =
        *app.add_subcommand("estimate", "Predict size (exact), memory and time of a run");
    session.addTo(command);
    static std::string model;
    static SpecFlags flags;
    command.add_option("model", model, "Model folder, or demo")->required();
    flags.addTo(command, true);
    command.footer("Example:\n  qw estimate demo --method lqer --bits 3 --rank 16");
    onRun(command, [&session] {
        const RunSpec spec = flags.result(model, session.device, session.threads);
        session.startEngine();
        const Estimate estimate = flags.naming([&] { return estimateRun(spec); });
        if (session.json) {
            printJson(Json{{"bytes", estimate.bytes},
                           {"bits_per_weight", finiteOrNull(estimate.bitsPerWeight)},
                           {"peak_rss_bytes", estimate.peakRssBytes},
                           {"seconds", finiteOrNull(estimate.seconds)}});
        } else {
            std::cout << formatMegabytes(estimate.bytes) << " ("
                      << formatNumber(estimate.bitsPerWeight, 2) << " bits/weight), about "
                      << formatMegabytes(estimate.peakRssBytes) << " of memory, about "
                      << formatDuration(estimate.seconds) << '\n';
        }
        return 0;
    });
}

} // namespace qw::cli
