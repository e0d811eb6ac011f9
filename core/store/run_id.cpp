#include "store/run_id.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <string_view>

namespace qw {

namespace {
constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::int64_t kEpochMilliseconds = 1704067200000; // 2024-01-01T00:00:00Z

/// Milliseconds, but never the same or an earlier one twice in this process.
std::int64_t nextMoment()
{
    static std::atomic<std::int64_t> last{0};
    using std::chrono::system_clock;
    const std::int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
                                 system_clock::now().time_since_epoch())
                                 .count() -
                             kEpochMilliseconds;
    std::int64_t previous = last.load();
    std::int64_t moment = 0;
    do {
        moment = std::max(now, previous + 1);
    } while (!last.compare_exchange_weak(previous, moment));
    return moment;
}

void append(std::string& id, std::uint64_t value, int characters)
{
    for (int shift = 5 * (characters - 1); shift >= 0; shift -= 5) {
        id += kDigits[(value >> shift) & 31];
    }
}
} // namespace

std::string makeRunId()
{
    static std::random_device random;
    std::string id;
    do {
        id.clear();
        append(id, static_cast<std::uint64_t>(nextMoment()), 8);
        append(id, random(), 4);
    } while (id.find_first_of("abcdfghjkmnpqrstvwxyz") == std::string::npos); // 12e34 is a number
    return id;
}

} // namespace qw
