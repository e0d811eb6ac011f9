#include "model/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/json_io.h"
#include "base/json_problem.h"
#include "model/dtype.h"

namespace qw {

namespace {
constexpr std::uint64_t kMaxHeader = 100'000'000; // as the reference reader
constexpr std::size_t kMaxTensors = 1'000'000;
constexpr std::size_t kMaxName = 4096;
constexpr std::uint64_t kMaxNumber = std::uint64_t{1} << 48;

/// Reads the header in one pass, keeping only what a header may hold.
class HeaderSax : public nlohmann::json_sax<nlohmann::json>
{
public:
    explicit HeaderSax(const std::string& where) : m_where(where) {}
    SafetensorsHeader take() { return std::move(m_header); }

    bool null() override { return bad("null"); }
    bool boolean(bool /*value*/) override { return bad("true or false"); }
    bool number_integer(number_integer_t value) override
    {
        return bad(message("the negative number ", value));
    }
    bool number_float(number_float_t /*value*/, const string_t& text) override
    {
        return bad("the number " + text);
    }
    bool binary(binary_t& /*value*/) override { return bad("binary data"); }
    bool number_unsigned(number_unsigned_t value) override
    {
        if (m_array == Array::None || m_depth != 2) {
            return bad("a number");
        }
        QW_REQUIRE(value <= kMaxNumber, ErrorCode::BadFile, m_where, ": tensor \"", m_name,
                   "\" has the number ", value, " in its ", m_key, ", far beyond any file");
        if (m_array == Array::Shape) {
            QW_REQUIRE(m_entry.shape.size() < 16, ErrorCode::BadFile, m_where, ": tensor \"",
                       m_name, "\" has more than 16 dimensions");
            m_entry.shape.push_back(static_cast<std::int64_t>(value));
        } else {
            m_offsets.push_back(value);
        }
        return true;
    }
    bool string(string_t& value) override
    {
        if (m_depth == 2 && m_name == "__metadata__" && m_array == Array::None) {
            m_header.metadata[m_key] = value;
            return true;
        }
        if (m_depth == 2 && m_key == "dtype" && m_array == Array::None) {
            m_entry.dtype = value;
            return true;
        }
        return bad("a string");
    }
    bool start_object(std::size_t /*size*/) override
    {
        ++m_depth;
        if (m_depth > 2 || m_array != Array::None) {
            return bad("a nested object");
        }
        if (m_depth == 2) {
            m_entry = {};
            m_offsets.clear();
            m_keys.clear();
        }
        return true;
    }
    bool key(string_t& value) override
    {
        if (m_depth == 1) {
            QW_REQUIRE(value.size() <= kMaxName, ErrorCode::BadFile, m_where,
                       ": a tensor name has ", value.size(), " bytes");
            QW_REQUIRE(m_names.insert(value).second, ErrorCode::BadFile, m_where, ": the tensor \"",
                       value, "\" stands twice in the header");
            QW_REQUIRE(m_names.size() <= kMaxTensors, ErrorCode::BadFile, m_where, ": more than ",
                       kMaxTensors, " tensors");
            m_name = value;
            return true;
        }
        QW_REQUIRE(m_keys.insert(value).second, ErrorCode::BadFile, m_where, ": \"", value,
                   "\" stands twice in the entry of \"", m_name, "\"");
        if (m_name != "__metadata__") {
            QW_REQUIRE(value == "dtype" || value == "shape" || value == "data_offsets",
                       ErrorCode::BadFile, m_where, ": unknown key \"", value,
                       "\" in the entry of tensor \"", m_name, "\"");
        }
        m_key = value;
        return true;
    }
    bool end_object() override
    {
        if (m_depth == 2 && m_name != "__metadata__") {
            finishEntry();
        }
        --m_depth;
        return true;
    }
    bool start_array(std::size_t /*size*/) override
    {
        const bool allowed = m_depth == 2 && m_array == Array::None && m_name != "__metadata__" &&
                             (m_key == "shape" || m_key == "data_offsets");
        if (!allowed) {
            return bad("an array");
        }
        m_array = m_key == "shape" ? Array::Shape : Array::Offsets;
        return true;
    }
    bool end_array() override
    {
        m_array = Array::None;
        return true;
    }
    bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                     const nlohmann::detail::exception& problem) override
    {
        throw Error(ErrorCode::BadFile,
                    message(m_where, ": the header is not valid JSON: ", jsonProblem(problem)));
    }

private:
    enum class Array { None, Shape, Offsets };

    [[noreturn]] bool bad(const std::string& what) const
    {
        throw Error(ErrorCode::BadFile,
                    message(m_where, ": the header holds ", what, " where it may not",
                            m_name.empty() ? "" : " (tensor \"" + m_name + "\")"));
    }
    void finishEntry()
    {
        const auto has = [&](const char* key) { return m_keys.contains(key); };
        QW_REQUIRE(has("dtype") && has("shape") && has("data_offsets"), ErrorCode::BadFile, m_where,
                   ": the entry of tensor \"", m_name, "\" lacks dtype, shape or data_offsets");
        QW_REQUIRE(m_offsets.size() == 2 && m_offsets[0] <= m_offsets[1], ErrorCode::BadFile,
                   m_where, ": tensor \"", m_name, "\" has no valid data_offsets");
        const std::int64_t bits = bitsOfDtype(m_entry.dtype);
        QW_REQUIRE(bits > 0, ErrorCode::BadFile, m_where, ": tensor \"", m_name,
                   "\" has the unknown dtype \"", m_entry.dtype, "\"");
        std::uint64_t total = static_cast<std::uint64_t>(bits);
        for (const std::int64_t dim : m_entry.shape) {
            // A zero dimension must not hide others whose product would overflow.
            const std::uint64_t factor = std::max<std::uint64_t>(1, std::uint64_t(dim));
            std::uint64_t product = 0;
            QW_REQUIRE(
                !__builtin_mul_overflow(total, factor, &product) && product <= kMaxNumber * 64,
                ErrorCode::BadFile, m_where, ": the shape of tensor \"", m_name, "\" overflows");
            total = product;
        }
        if (std::find(m_entry.shape.begin(), m_entry.shape.end(), 0) != m_entry.shape.end()) {
            total = 0;
        }
        QW_REQUIRE(total % 8 == 0, ErrorCode::BadFile, m_where, ": tensor \"", m_name,
                   "\" does not fill whole bytes");
        QW_REQUIRE(total / 8 == m_offsets[1] - m_offsets[0], ErrorCode::BadFile, m_where,
                   ": tensor \"", m_name, "\" has ", m_offsets[1] - m_offsets[0],
                   " bytes, its shape and dtype need ", total / 8);
        m_entry.name = m_name;
        m_entry.offset = m_offsets[0];
        m_entry.bytes = m_offsets[1] - m_offsets[0];
        m_header.entries.emplace(m_name, m_entry);
    }

    const std::string& m_where;
    SafetensorsHeader m_header;
    int m_depth = 0;
    Array m_array = Array::None;
    std::string m_name;
    std::string m_key;
    std::set<std::string> m_names;
    std::set<std::string> m_keys; // of the entry being read
    TensorEntry m_entry;
    std::vector<std::uint64_t> m_offsets;
};

void requireContiguous(const SafetensorsHeader& header, std::size_t dataBytes,
                       const std::string& where)
{
    std::vector<const TensorEntry*> order;
    for (const auto& [name, entry] : header.entries) {
        order.push_back(&entry);
    }
    std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
        return std::pair(a->offset, a->bytes) < std::pair(b->offset, b->bytes);
    });
    std::size_t end = 0;
    for (const TensorEntry* entry : order) {
        QW_REQUIRE(entry->offset == end, ErrorCode::BadFile, where, ": tensor \"", entry->name,
                   "\" begins at byte ", entry->offset, " of the data, expected ", end,
                   ": tensors overlap or leave a hole");
        end += entry->bytes;
    }
    QW_REQUIRE(end == dataBytes, ErrorCode::BadFile, where, ": the tensors fill ", end,
               " bytes, the file holds ", dataBytes,
               ": it is truncated or has bytes after its end");
}
} // namespace

SafetensorsHeader readSafetensorsHeader(std::span<const std::byte> file, const std::string& where)
{
    QW_REQUIRE(file.size() >= 8, ErrorCode::BadFile, where, ": has ", file.size(),
               " bytes, too short for a safetensors file");
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    QW_REQUIRE(length <= kMaxHeader, ErrorCode::BadFile, where, ": claims a header of ", length,
               " bytes, more than the ", kMaxHeader, " allowed");
    QW_REQUIRE(length <= file.size() - 8, ErrorCode::BadFile, where, ": claims a header of ",
               length, " bytes, the file has ", file.size());
    const auto* text = reinterpret_cast<const char*>(file.data()) + 8;
    HeaderSax sax(where);
    // The outermost value must be an object: anything else would be taken silently.
    const char* first = std::find_if(text, text + length, [](char c) {
        return c != ' ' && c != '\n' && c != '\r' && c != '\t';
    });
    QW_REQUIRE(first != text + length && *first == '{', ErrorCode::BadFile, where,
               ": the header is not a JSON object");
    nlohmann::json::sax_parse(text, text + length, &sax);
    SafetensorsHeader header = sax.take();
    requireContiguous(header, file.size() - 8 - length, where);
    for (auto& [name, entry] : header.entries) {
        entry.offset += 8 + length;
    }
    return header;
}

} // namespace qw
