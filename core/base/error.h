#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace qw {

/// What kind of thing went wrong; decides the exit status and what a caller can do about it.
enum class ErrorCode {
    BadInput,    ///< the user asked for something impossible (option, recipe key, form field)
    NotFound,    ///< a file, tensor, layer or run that is not there
    BadFile,     ///< a file that is damaged, hostile or not what its name says
    Unsupported, ///< well-formed, but nothing this program handles
    BadShape,    ///< tensors whose shapes do not fit together
    Io,          ///< reading or writing failed (full disk, permission)
    OutOfMemory,
    NonFinite, ///< NaN or infinity where a number is needed
    Mismatch,  ///< a verification found a difference
    Store,     ///< the run store refused
    Internal,  ///< a bug in this program
};

/// The one exception of this program: a code and one sentence for the user, naming the file, key
/// or layer, what was expected and what was found.
class Error : public std::runtime_error
{
public:
    Error(ErrorCode code, const std::string& sentence) : std::runtime_error(sentence), m_code(code)
    {
    }
    ErrorCode code() const { return m_code; }

private:
    ErrorCode m_code;
};

/// Thrown by RunContext::checkpoint when the user has cancelled. Not an Error: nothing went wrong.
class Cancelled : public std::runtime_error
{
public:
    Cancelled() : std::runtime_error("cancelled") {}
};

/// The parts, streamed one after the other: message("bits ", 9, " is not in 2..8").
template <class... Parts>
std::string message(const Parts&... parts)
{
    std::ostringstream out;
    (out << ... << parts);
    return out.str();
}

/// "1 tensor", "3 tensors".
template <class Count>
std::string counted(Count count, const std::string& noun)
{
    return message(count, " ", noun, count == 1 ? "" : "s");
}

namespace detail {
[[noreturn]] inline void assertFailed(const char* expression, const char* file, int line)
{
    throw Error(ErrorCode::Internal,
                message("internal error: ", expression, " does not hold at ", file, ":", line));
}
} // namespace detail

} // namespace qw

/// A caller's mistake: throws Error(code, message(...)) unless the condition holds. Always on.
#define QW_REQUIRE(condition, code, ...)                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            throw ::qw::Error((code), ::qw::message(__VA_ARGS__));                                 \
        }                                                                                          \
    } while (false)

/// A bug in this program. On in every build but Release.
#ifdef NDEBUG
#define QW_ASSERT(condition) static_cast<void>(0)
#else
#define QW_ASSERT(condition)                                                                       \
    ((condition) ? static_cast<void>(0)                                                            \
                 : ::qw::detail::assertFailed(#condition, __FILE__, __LINE__))
#endif
