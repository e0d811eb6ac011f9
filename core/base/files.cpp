#include "base/files.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <set>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"

namespace qw {

namespace {
std::string reason()
{
    return std::strerror(errno);
}

/// Opens a regular file for reading and tells its size. Non-blocking, so that a pipe cannot hang
/// us.
int openRegular(const std::filesystem::path& file, std::int64_t& size)
{
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        throw Error(errno == ENOENT || errno == ENOTDIR ? ErrorCode::NotFound : ErrorCode::Io,
                    message(file.string(), ": cannot be opened: ", reason()));
    }
    struct stat status {
    };
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        ::close(descriptor);
        throw Error(ErrorCode::BadFile, message(file.string(), ": is not a regular file"));
    }
    size = status.st_size;
    return descriptor;
}
} // namespace

AtomicFile::AtomicFile(std::filesystem::path target) : m_target(std::move(target))
{
    m_temporary = m_target;
    m_temporary += message(".", ::getpid(), ".part");
    m_descriptor = ::open(m_temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    QW_REQUIRE(m_descriptor >= 0, ErrorCode::Io, m_target.string(),
               ": cannot be written: ", reason());
}

AtomicFile::~AtomicFile()
{
    if (m_descriptor >= 0) {
        ::close(m_descriptor);
        ::unlink(m_temporary.c_str());
    }
}

void AtomicFile::write(std::span<const std::byte> bytes)
{
    while (!bytes.empty()) {
        const ssize_t written = ::write(m_descriptor, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        QW_REQUIRE(written >= 0, ErrorCode::Io, m_target.string(), ": writing failed: ", reason());
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        m_bytes += written;
    }
}

void AtomicFile::write(std::string_view text)
{
    write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::commit()
{
    // Without fsync a crash soon after the rename can leave an empty file under the final name.
    QW_REQUIRE(::fsync(m_descriptor) == 0, ErrorCode::Io, m_target.string(),
               ": writing failed: ", reason());
    ::close(m_descriptor);
    m_descriptor = -1;
    if (::rename(m_temporary.c_str(), m_target.c_str()) != 0) {
        const std::string why = reason();
        ::unlink(m_temporary.c_str());
        throw Error(ErrorCode::Io, message(m_target.string(), ": cannot be replaced: ", why));
    }
}

std::string readTextFile(const std::filesystem::path& file, std::int64_t maxBytes)
{
    std::int64_t size = 0;
    const int descriptor = openRegular(file, size);
    if (size > maxBytes) {
        ::close(descriptor);
        throw Error(ErrorCode::BadFile, message(file.string(), ": has ", size, " bytes, at most ",
                                                maxBytes, " are read"));
    }
    std::string text(static_cast<std::size_t>(size), '\0');
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t got = ::read(descriptor, text.data() + done, text.size() - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            const std::string why = got < 0 ? reason() : "it became shorter";
            ::close(descriptor);
            throw Error(ErrorCode::Io, message(file.string(), ": reading failed: ", why));
        }
        done += static_cast<std::size_t>(got);
    }
    ::close(descriptor);
    return text;
}

MappedFile::MappedFile(const std::filesystem::path& file) : m_path(file)
{
    std::int64_t size = 0;
    const int descriptor = openRegular(file, size);
    m_size = static_cast<std::size_t>(size);
    if (m_size > 0) {
        void* map = ::mmap(nullptr, m_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (map == MAP_FAILED) {
            const std::string why = reason();
            ::close(descriptor);
            throw Error(ErrorCode::Io, message(file.string(), ": cannot be mapped: ", why));
        }
        m_data = static_cast<const std::byte*>(map);
    }
    ::close(descriptor);
}

MappedFile::~MappedFile()
{
    if (m_data != nullptr) {
        ::munmap(const_cast<std::byte*>(m_data), m_size);
    }
}

void MappedFile::release(std::size_t offset, std::size_t length) const
{
    if (m_data == nullptr || length == 0) {
        return;
    }
    // Only whole pages inside the range: the ends may belong to neighbours still in use.
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t begin = (offset + page - 1) / page * page;
    const std::size_t last = offset + length;
    const std::size_t end = last == m_size ? m_size : last / page * page;
    if (begin < end) {
        ::madvise(const_cast<std::byte*>(m_data) + begin, end - begin, MADV_DONTNEED);
    }
}

namespace {
/// Of the whole file, of an open file as flock() has it; unlike with flock(), who asks whether one
/// is held takes none.
struct flock exclusiveLock()
{
    struct flock lock {
    };
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}
} // namespace

FileLock::FileLock(const std::filesystem::path& file)
    : m_descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644))
{
    QW_REQUIRE(m_descriptor >= 0, ErrorCode::Io, file.string(), ": cannot be written: ", reason());
    struct flock lock = exclusiveLock();
    if (::fcntl(m_descriptor, F_OFD_SETLK, &lock) != 0) {
        const bool held = errno == EAGAIN || errno == EACCES;
        const std::string why = reason();
        ::close(m_descriptor);
        throw Error(held ? ErrorCode::BadInput : ErrorCode::Io,
                    message(file.parent_path().string(), held ? ": another process is at work on it"
                                                              : ": cannot be locked: " + why));
    }
}

FileLock::~FileLock()
{
    ::close(m_descriptor);
}

bool FileLock::held(const std::filesystem::path& file)
{
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return false;
    }
    struct flock lock = exclusiveLock();
    // A file system that cannot say counts as nobody holding it: a FileLock there fails by itself.
    const bool asked = ::fcntl(descriptor, F_OFD_GETLK, &lock) == 0;
    ::close(descriptor);
    return asked && lock.l_type != F_UNLCK;
}

std::filesystem::path userDataFolder()
{
    const char* xdg = std::getenv("XDG_DATA_HOME");
    if (xdg != nullptr && xdg[0] == '/') {
        return std::filesystem::path(xdg) / "quant-workbench";
    }
    const char* home = std::getenv("HOME");
    const std::filesystem::path base = home != nullptr ? home : ".";
    return base / ".local/share/quant-workbench";
}

std::int64_t freeBytes(const std::filesystem::path& folder)
{
    std::filesystem::path existing = std::filesystem::absolute(folder);
    std::error_code unreachable;
    while (!std::filesystem::exists(existing, unreachable) && existing.has_relative_path()) {
        existing = existing.parent_path();
    }
    struct statvfs status {
    };
    QW_REQUIRE(::statvfs(existing.c_str(), &status) == 0, ErrorCode::Io, folder.string(),
               ": free space cannot be read: ", reason());
    return static_cast<std::int64_t>(status.f_bavail) * static_cast<std::int64_t>(status.f_frsize);
}

namespace {
/// The kernel keeps one peak for the process, so a thread that restarts it leaves what it was to
/// the others that measure.
class PeakMeasurer
{
public:
    PeakMeasurer()
    {
        const std::scoped_lock lock(s_mutex);
        s_all.insert(this);
    }
    ~PeakMeasurer()
    {
        const std::scoped_lock lock(s_mutex);
        s_all.erase(this);
    }
    PeakMeasurer(const PeakMeasurer&) = delete;
    PeakMeasurer& operator=(const PeakMeasurer&) = delete;

    std::int64_t restart()
    {
        const std::scoped_lock lock(s_mutex);
        const std::int64_t peak = kernelsPeak();
        for (PeakMeasurer* measurer : s_all) {
            measurer->m_before = std::max(measurer->m_before, peak);
        }
        m_before = 0;
        std::ofstream("/proc/self/clear_refs") << 5; // the peak becomes what is resident now
        return kernelsPeak();
    }
    std::int64_t peak() const
    {
        const std::scoped_lock lock(s_mutex);
        return std::max(m_before, kernelsPeak());
    }

private:
    static std::int64_t kernelsPeak();

    inline static std::mutex s_mutex;
    inline static std::set<PeakMeasurer*> s_all;
    std::int64_t m_before = 0; ///< until another thread restarted the kernel's
};

thread_local PeakMeasurer t_peak;

std::int64_t PeakMeasurer::kernelsPeak()
{
    std::ifstream status("/proc/self/status");
    std::string line;
    while (std::getline(status, line)) {
        if (line.rfind("VmHWM:", 0) == 0) {
            return std::strtoll(line.c_str() + 6, nullptr, 10) * 1024;
        }
    }
    return 0;
}

} // namespace

std::int64_t restartPeakRss()
{
    return t_peak.restart();
}

std::int64_t recentPeakRssBytes()
{
    return t_peak.peak();
}

} // namespace qw
