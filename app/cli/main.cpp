#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "parse_problem.h"
#include "session.h"

namespace {
using qw::cli::say;

/// Beside 0 and the mismatch that qw rerun --verify finds.
enum ExitStatus { kFailed = 1, kWrongInput = 2, kCancelled = 130 };

int statusFor(qw::ErrorCode code)
{
    switch (code) {
    case qw::ErrorCode::BadInput:
    case qw::ErrorCode::NotFound:
    case qw::ErrorCode::BadFile:
    case qw::ErrorCode::Unsupported:
    case qw::ErrorCode::Mismatch: // a model, text or file that is not the one it should be
        return kWrongInput;
    default:
        return kFailed;
    }
}

int parseAndRun(CLI::App& app, int argc, char** argv)
{
    try {
        app.parse(argc, argv);
        std::cout.flush();
        QW_REQUIRE(std::cout, qw::ErrorCode::Io, "standard output could not be written");
        return qw::cli::exitStatus();
    } catch (const CLI::Success& done) { // --help, --version
        return app.exit(done);
    } catch (const CLI::ParseError& problem) {
        const std::vector<std::string> arguments(argv + 1, argv + argc);
        say(qw::cli::sentenceFor(app, arguments, problem));
        return kWrongInput;
    } catch (const qw::Cancelled&) {
        say("qw: cancelled");
        return kCancelled;
    } catch (const qw::Error& problem) {
        say(std::string("qw: ") + problem.what());
        return statusFor(problem.code());
    } catch (const std::bad_alloc&) {
        say("qw: out of memory");
        return kFailed;
    } catch (const std::exception& problem) {
        // The tensor library appends a backtrace to its sentence; the first line is for people.
        const std::string text = problem.what();
        say("qw: " + text.substr(0, text.find('\n')));
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
    qw::cli::Session session;
    session.addTo(app);
    qw::cli::addInspect(app, session);
    qw::cli::addRun(app, session);
    qw::cli::addSweep(app, session);
    qw::cli::addEval(app, session);
    qw::cli::addGenerate(app, session);
    qw::cli::addRuns(app, session);
    qw::cli::addRepeat(app, session);
    qw::cli::addEstimate(app, session);
    qw::cli::addReport(app, session);
    qw::cli::addExport(app, session);
    qw::cli::addImport(app, session);
    qw::cli::addTokenize(app, session);
    qw::cli::addCompletion(app, session);
    app.footer("Examples:\n"
               "  qw inspect demo\n"
               "  qw run demo --method l2qer --bits 3 --rank 16 --calibration demo:calibration "
               "--text demo:evaluation\n"
               "  qw runs list");
    return parseAndRun(app, argc, argv);
}
