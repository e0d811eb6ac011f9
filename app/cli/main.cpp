#include <csignal>
#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "base/json_io.h"
#include "engine.h"
#include "session.h"

namespace {
enum ExitStatus { kDone = 0, kFailed = 1, kWrongInput = 2, kMismatch = 3, kCancelled = 130 };

int statusFor(qw::ErrorCode code)
{
    switch (code) {
    case qw::ErrorCode::BadInput:
    case qw::ErrorCode::NotFound:
    case qw::ErrorCode::BadFile:
    case qw::ErrorCode::Unsupported:
        return kWrongInput;
    case qw::ErrorCode::Mismatch:
        return kMismatch;
    default:
        return kFailed;
    }
}

/// A mistyped subcommand gets its nearest name.
std::string suggestion(const CLI::App& app, int argc, char** argv)
{
    std::vector<std::string> known;
    for (const CLI::App* command : app.get_subcommands({})) {
        known.push_back(command->get_name());
    }
    if (argc < 2 || argv[1][0] == '-' ||
        std::find(known.begin(), known.end(), argv[1]) != known.end()) {
        return {};
    }
    const std::string nearest = qw::nearestName(argv[1], known);
    return "unknown command '" + std::string(argv[1]) + "'" +
           (nearest.empty() ? "; see qw --help" : "; did you mean '" + nearest + "'?");
}

int parseAndRun(CLI::App& app, int argc, char** argv)
{
    try {
        app.parse(argc, argv);
        return qw::cli::exitStatus();
    } catch (const CLI::Success& done) { // --help, --version
        return app.exit(done);
    } catch (const CLI::ParseError& problem) {
        const std::string better = suggestion(app, argc, argv);
        std::cerr << "qw: " << (better.empty() ? problem.what() : better) << '\n';
        return kWrongInput;
    } catch (const qw::Cancelled&) {
        std::cerr << "\nqw: cancelled\n";
        return kCancelled;
    } catch (const qw::Error& problem) {
        std::cerr << "qw: " << problem.what() << '\n';
        return statusFor(problem.code());
    } catch (const std::bad_alloc&) {
        std::cerr << "qw: out of memory\n";
        return kFailed;
    } catch (const std::exception& problem) {
        // The tensor library appends a backtrace to its sentence; the first line is for people.
        const std::string text = problem.what();
        std::cerr << "qw: " << text.substr(0, text.find('\n')) << '\n';
        return kFailed;
    }
}
} // namespace

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    CLI::App app{"Quantize language models with low-rank methods, measure and compare.", "qw"};
    app.set_version_flag("--version", std::string("qw ") + QW_VERSION);
    app.require_subcommand(1);
    app.footer("Examples:\n"
               "  qw inspect demo\n"
               "  qw run demo --method l2qer --bits 3 --rank 16 --calibration demo:calibration "
               "--text demo:evaluation\n"
               "  qw runs list");
    qw::cli::Session session;
    qw::cli::addInspect(app, session);
    qw::cli::addRun(app, session);
    qw::cli::addSweep(app, session);
    qw::cli::addEval(app, session);
    qw::cli::addGenerate(app, session);
    qw::cli::addRuns(app, session);
    qw::cli::addRepeat(app, session);
    qw::cli::addEstimate(app, session);
    qw::cli::addTokenize(app, session);
    qw::cli::addCompletion(app);
    return parseAndRun(app, argc, argv);
}
