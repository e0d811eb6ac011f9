#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace qw {

/// A file without a name, for what memory has no room for: gone with the object, whatever happens
/// to the process.
class ScratchFile
{
public:
    /// @param what  it is to hold, for messages: "hidden states"
    /// @throws Error::Io if it cannot be made
    ScratchFile(const std::filesystem::path& folder, const std::string& what);
    ~ScratchFile();
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;

    /// @throws Error::Io (full disk)
    void write(std::int64_t at, const void* from, std::int64_t bytes);
    /// @throws Error::Io
    void read(std::int64_t at, void* to, std::int64_t bytes) const;
    /// Gives back the room of what lies behind.
    void cutAt(std::int64_t bytes);

private:
    std::string m_what;
    std::filesystem::path m_file; ///< its name while it had one, for messages
    int m_descriptor = -1;
};

} // namespace qw
