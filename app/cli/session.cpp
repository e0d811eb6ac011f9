#include "session.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <regex>
#include <stop_token>
#include <thread>

#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "table.h"

namespace qw::cli {

namespace {
int g_exitStatus = 0;
volatile std::sig_atomic_t g_interrupts = 0;

extern "C" void onInterrupt(int signal)
{
    g_interrupts = g_interrupts + 1;
    if (g_interrupts > 1) { // the second one means it
        std::signal(signal, SIG_DFL);
        std::raise(signal);
    }
}

/// One line on a terminal, redrawn; plain lines at each phase elsewhere. The worker reports, the
/// thread that waits for a signal says that it came.
class ProgressPrinter
{
public:
    void operator()(const Progress& progress)
    {
        const std::scoped_lock lock(m_mutex);
        m_last = progress;
        if (m_cancelling) {
            return; // the answer to the signal stays
        }
        if (!m_terminal) {
            if (progress.phase != m_phase) {
                m_phase = progress.phase;
                std::fprintf(stderr, "%s\n", m_phase.c_str());
            }
            return;
        }
        std::fprintf(stderr, "\r\033[K%s", bar(progress).substr(0, 100).c_str());
        m_drawn = true;
    }
    /// The answer to a signal.
    void cancelling()
    {
        const std::scoped_lock lock(m_mutex);
        m_cancelling = true;
        write(m_last.uninterruptible ? "cancelling when this is done: " + m_last.detail
                                     : "cancelling");
    }
    void line(const std::string& text)
    {
        const std::scoped_lock lock(m_mutex);
        write(text);
    }

private:
    static std::string bar(const Progress& progress)
    {
        std::string line = progress.phase;
        if (progress.total > 0) {
            constexpr int kWidth = 24;
            const int filled = static_cast<int>(kWidth * progress.done / progress.total);
            line += " [" + std::string(static_cast<std::size_t>(filled), '#') +
                    std::string(static_cast<std::size_t>(kWidth - filled), ' ') + "] " +
                    std::to_string(progress.done) + "/" + std::to_string(progress.total);
        }
        line += " " + progress.detail;
        if (progress.secondsLeft >= 1) {
            line += "  " + formatDuration(progress.secondsLeft) + " left";
        }
        if (progress.uninterruptible) {
            line += " (a cancel waits for this)";
        }
        return line;
    }
    void write(const std::string& text)
    {
        if (m_drawn) {
            std::fprintf(stderr, "\r\033[K");
            m_drawn = false;
        }
        std::cerr << text << std::endl;
    }

    std::mutex m_mutex;
    bool m_terminal = ::isatty(STDERR_FILENO) != 0;
    bool m_drawn = false;
    bool m_cancelling = false;
    std::string m_phase;
    Progress m_last;
};

/// One per process: whoever writes to standard error asks it to make way.
ProgressPrinter& printer()
{
    static ProgressPrinter only;
    return only;
}

constexpr std::int64_t kMostThreads = 4096;

std::string checkDevice(const std::string& device)
{
    static const std::regex kForm("cpu|cuda(:[0-9]{1,3})?");
    return std::regex_match(device, kForm)
               ? ""
               : message("unknown device \"", device, "\": use cpu, cuda or cuda:N");
}
} // namespace

void Session::addTo(CLI::App& command)
{
    const auto shared = [&](CLI::Option* option) { return option->group("Everywhere"); };
    shared(command.add_option("--store", storeFile, "The run store, an SQLite file"))
        ->check([](const std::string& file) {
            return std::string(file.empty() ? "give the file of the store" : "");
        });
    shared(command.add_option_function<std::int64_t>(
        "--threads",
        [this](std::int64_t wanted) {
            QW_REQUIRE(wanted >= 0 && wanted <= kMostThreads, ErrorCode::BadInput, "--threads ",
                       wanted, " is not in 0..", kMostThreads);
            threads = wanted;
            threadsGiven = true;
        },
        "Threads of the engine (default 0: all physical cores)"));
    shared(command.add_option_function<std::string>(
               "--device",
               [this](const std::string& wanted) {
                   device = wanted;
                   deviceGiven = true;
               },
               "cpu, cuda or cuda:N (default cpu)"))
        ->check(checkDevice);
    shared(command.add_flag("--json", json, "One JSON object on standard output"));
}

void Session::startEngine() const
{
    qw::startEngine(threads);
    requireDevice(device);
    if (engineInfo().slowBlas) {
        say("warning: matrix products run on the " + engineInfo().blas +
            ", some fifty times slower than OpenBLAS; install libopenblas0-openmp");
    }
}

RunStore Session::openStore() const
{
    RunStore opened = store(StoreAccess::Create);
    opened.requireWritable();
    return opened;
}

RunStore Session::existingStore() const
{
    return store(storeFile.empty() ? StoreAccess::ExistingOrNone : StoreAccess::Existing);
}

RunStore Session::storeToChange() const
{
    RunStore opened = existingStore();
    opened.requireWritable();
    return opened;
}

RunStore Session::store(StoreAccess access) const
{
    const std::filesystem::path file =
        storeFile.empty() ? RunStore::defaultFile() : std::filesystem::path(storeFile);
    try {
        return RunStore(file, access);
    } catch (const Error& problem) {
        // Wrong input only where the user named a file that cannot be one; a disk that is full or a
        // store that another program holds is a failure.
        const bool cannotBe = problem.code() == ErrorCode::Store ||
                              problem.code() == ErrorCode::BadFile ||
                              problem.code() == ErrorCode::NotFound;
        throw Error(cannotBe && !storeFile.empty() ? ErrorCode::BadInput : ErrorCode::Store,
                    problem.what());
    }
}

std::filesystem::path Session::workFolder() const
{
    return storeFile.empty() ? userDataFolder() / "runs"
                             : std::filesystem::absolute(storeFile + ".runs");
}

RunContext Session::context() const
{
    static std::stop_source stop;
    static ProgressPrinter& answers = printer(); // made before the thread that uses it to its end
    std::signal(SIGINT, onInterrupt);
    std::signal(SIGTERM, onInterrupt);
    // A signal handler may only set a flag; a thread turns it into a stop request.
    static std::jthread watcher([](const std::stop_token& done) {
        while (!done.stop_requested()) {
            if (g_interrupts > 0) {
                answers.cancelling();
                stop.request_stop();
                return;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
    });
    return RunContext(
        stop.get_token(), [](const Progress& progress) { printer()(progress); },
        [](const std::string& line) { say(line); });
}

void printJson(const Json& object)
{
    std::cout << object.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

void say(const std::string& line)
{
    printer().line(line);
}

void onRun(CLI::App& command, Callback callback)
{
    command.callback([callback = std::move(callback)] { g_exitStatus = callback(); });
}

int exitStatus()
{
    return g_exitStatus;
}

} // namespace qw::cli
