#include "base/hash.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include <xxhash.h>

#include "base/error.h"
#include "base/files.h"

namespace qw {

namespace {
/// Bytes between two looks at the stop token, or two releases of pages.
constexpr std::size_t kChunk = std::size_t{16} << 20;
} // namespace

struct Hasher::State {
    XXH3_state_t* xxh = XXH3_createState();
    State() { XXH3_128bits_reset(xxh); }
    ~State() { XXH3_freeState(xxh); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
};

Hasher::Hasher() : m_state(std::make_unique<State>()) {}
Hasher::~Hasher() = default;

void Hasher::add(std::span<const std::byte> bytes)
{
    XXH3_128bits_update(m_state->xxh, bytes.data(), bytes.size());
}

void Hasher::add(std::span<const std::byte> bytes, const RunContext& run)
{
    for (std::size_t at = 0; at < bytes.size(); at += kChunk) {
        run.checkpoint();
        add(bytes.subspan(at, std::min(kChunk, bytes.size() - at)));
    }
}

void Hasher::add(std::string_view text)
{
    add(std::as_bytes(std::span(text.data(), text.size())));
}

std::string Hasher::hex() const
{
    const XXH128_hash_t hash = XXH3_128bits_digest(m_state->xxh);
    std::array<char, 33> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx%016llx",
                  static_cast<unsigned long long>(hash.high64),
                  static_cast<unsigned long long>(hash.low64));
    return digits.data();
}

std::string hashOf(std::string_view text)
{
    Hasher hasher;
    hasher.add(text);
    return hasher.hex();
}

std::string hashOfFile(const std::filesystem::path& file)
{
    const MappedFile map(file);
    Hasher hasher;
    for (std::size_t at = 0; at < map.bytes().size(); at += kChunk) {
        const std::size_t length = std::min(kChunk, map.bytes().size() - at);
        hasher.add(map.bytes().subspan(at, length));
        map.release(at, length);
    }
    return hasher.hex();
}

} // namespace qw
