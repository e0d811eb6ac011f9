#include "base/scratch_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"

namespace qw {

ScratchFile::ScratchFile(const std::filesystem::path& folder, const std::string& what)
    : m_what(what)
{
    std::string name = what + ".XXXXXX";
    std::replace(name.begin(), name.end(), ' ', '-');
    name = (folder / name).string();
    m_descriptor = ::mkostemp(name.data(), O_CLOEXEC);
    m_file = name;
    QW_REQUIRE(m_descriptor >= 0, ErrorCode::Io, m_file.string(), ": the file of ", m_what,
               " cannot be made: ", std::strerror(errno));
    ::unlink(m_file.c_str()); // lives as long as it is open: a killed run leaves nothing behind
}

ScratchFile::~ScratchFile()
{
    ::close(m_descriptor);
}

void ScratchFile::write(std::int64_t at, const void* from, std::int64_t bytes)
{
    for (std::int64_t done = 0; done < bytes;) {
        const ssize_t written =
            ::pwrite(m_descriptor, static_cast<const char*>(from) + done,
                     static_cast<std::size_t>(bytes - done), static_cast<off_t>(at + done));
        if (written < 0 && errno == EINTR) {
            continue;
        }
        QW_REQUIRE(written > 0, ErrorCode::Io, m_file.string(), ": writing ", m_what,
                   " failed: ", std::strerror(errno));
        done += written;
    }
}

void ScratchFile::read(std::int64_t at, void* to, std::int64_t bytes) const
{
    for (std::int64_t done = 0; done < bytes;) {
        const ssize_t got =
            ::pread(m_descriptor, static_cast<char*>(to) + done,
                    static_cast<std::size_t>(bytes - done), static_cast<off_t>(at + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        QW_REQUIRE(got > 0, ErrorCode::Io, m_file.string(), ": reading ", m_what,
                   " failed: ", got < 0 ? std::strerror(errno) : "the file is too short");
        done += got;
    }
}

void ScratchFile::cutAt(std::int64_t bytes)
{
    while (::ftruncate(m_descriptor, static_cast<off_t>(bytes)) != 0 && errno == EINTR) {
    }
}

} // namespace qw
