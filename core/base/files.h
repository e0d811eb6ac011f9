#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace qw {

/// Writes a file so that readers see the old one or the whole new one: temporary name, fsync,
/// rename. Without commit() the temporary file is removed.
/// @throws Error::Io naming the file and the reason (full disk, permission)
class AtomicFile
{
public:
    explicit AtomicFile(std::filesystem::path target);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void write(std::span<const std::byte> bytes);
    void write(std::string_view text);
    std::int64_t bytesWritten() const { return m_bytes; }
    void commit();

private:
    std::filesystem::path m_target;
    std::filesystem::path m_temporary;
    int m_descriptor = -1;
    std::int64_t m_bytes = 0;
};

/// A whole file as a string. @throws Error::NotFound, Io, BadFile (longer than maxBytes)
std::string readTextFile(const std::filesystem::path& file,
                         std::int64_t maxBytes = std::int64_t{4} << 30);

/// A read-only memory map of a regular file that can give pages back to the system.
class MappedFile
{
public:
    /// @throws Error::NotFound, Io, BadFile (not a regular file) naming the file
    explicit MappedFile(const std::filesystem::path& file);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    std::span<const std::byte> bytes() const { return {m_data, m_size}; }
    const std::filesystem::path& path() const { return m_path; }
    /// Lets the system drop the pages of this range (they are read again when touched), so that
    /// resident memory does not grow to the file's size.
    void release(std::size_t offset, std::size_t length) const;

private:
    std::filesystem::path m_path;
    const std::byte* m_data = nullptr;
    std::size_t m_size = 0;
};

/// Holds a lock on a file (made if it is not there) until destroyed; the system lets go of it when
/// the process dies, however it dies.
class FileLock
{
public:
    /// @throws Error::BadInput if another process holds it, Io
    explicit FileLock(const std::filesystem::path& file);
    ~FileLock();
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    /// Whether somebody holds it now. False where there is no such file or it cannot be read.
    static bool held(const std::filesystem::path& file);

private:
    int m_descriptor = -1;
};

/// $XDG_DATA_HOME/quant-workbench or ~/.local/share/quant-workbench.
std::filesystem::path userDataFolder();

/// Bytes free for this user on the file system that holds @p folder (or its nearest parent).
std::int64_t freeBytes(const std::filesystem::path& folder);

/// Has recentPeakRssBytes() of this thread count from here; @return bytes resident now
std::int64_t restartPeakRss();
/// Peak resident set of this process in bytes, mapped pages included, since this thread restarted
/// it. What other threads restart in between takes nothing away.
std::int64_t recentPeakRssBytes();

} // namespace qw
