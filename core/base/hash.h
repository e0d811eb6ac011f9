#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/run_context.h"

namespace qw {

/// A running 128-bit XXH3 hash. Tells contents apart and finds damage; it is no signature.
class Hasher
{
public:
    Hasher();
    ~Hasher();
    Hasher(const Hasher&) = delete;
    Hasher& operator=(const Hasher&) = delete;

    void add(std::span<const std::byte> bytes);
    /// The same for what may lie on a slow disk. @throws Cancelled
    void add(std::span<const std::byte> bytes, const RunContext& run);
    void add(std::string_view text);
    std::string hex() const; ///< 32 lower-case digits of all that was added

private:
    struct State;
    std::unique_ptr<State> m_state;
};

std::string hashOf(std::string_view text);
/// @throws Error::NotFound, Io
std::string hashOfFile(const std::filesystem::path& file);

} // namespace qw
