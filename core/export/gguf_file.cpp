#include "export/gguf_file.h"

#include <cstring>

#include "base/error.h"

namespace qw {

namespace {
constexpr std::int64_t kAlignment = 32;
constexpr std::size_t kLongestName = 63;

enum ValueType : std::uint32_t { kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9 };

template <class Number>
void put(std::string& out, Number value)
{
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out.append(bytes, sizeof value);
}

void putText(std::string& out, const std::string& text)
{
    put(out, std::uint64_t{text.size()});
    out += text;
}

void putArrayHead(std::string& out, ValueType type, std::size_t count)
{
    put(out, std::uint32_t{kArray});
    put(out, std::uint32_t{type});
    put(out, std::uint64_t{count});
}

struct PutValue {
    std::string& out;
    void operator()(std::uint32_t value) const
    {
        put(out, std::uint32_t{kU32});
        put(out, value);
    }
    void operator()(float value) const
    {
        put(out, std::uint32_t{kF32});
        put(out, value);
    }
    void operator()(bool value) const
    {
        put(out, std::uint32_t{kBool});
        put(out, static_cast<std::uint8_t>(value ? 1 : 0));
    }
    void operator()(const std::string& value) const
    {
        put(out, std::uint32_t{kString});
        putText(out, value);
    }
    void operator()(const std::vector<std::string>& values) const
    {
        putArrayHead(out, kString, values.size());
        for (const std::string& value : values) {
            putText(out, value);
        }
    }
    void operator()(const std::vector<float>& values) const
    {
        putArrayHead(out, kF32, values.size());
        for (const float value : values) {
            put(out, value);
        }
    }
    void operator()(const std::vector<std::int32_t>& values) const
    {
        putArrayHead(out, kI32, values.size());
        for (const std::int32_t value : values) {
            put(out, value);
        }
    }
};

std::int64_t padded(std::int64_t bytes)
{
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}
} // namespace

std::int64_t GgufTensor::bytes() const
{
    std::int64_t elements = 1;
    for (const std::int64_t dim : shape) {
        elements *= dim;
    }
    return elements / ggufBlock(type) * ggufBlockBytes(type);
}

GgufWriter::GgufWriter(const std::filesystem::path& file, const GgufMetadata& metadata,
                       std::vector<GgufTensor> tensors)
    : m_file(file), m_name(file.string()), m_tensors(std::move(tensors))
{
    std::string head = "GGUF";
    put(head, std::uint32_t{3});
    put(head, std::uint64_t{m_tensors.size()});
    put(head, std::uint64_t{metadata.size()});
    for (const auto& [key, value] : metadata) {
        putText(head, key);
        std::visit(PutValue{head}, value);
    }
    std::int64_t offset = 0;
    for (const GgufTensor& tensor : m_tensors) {
        QW_REQUIRE(tensor.name.size() <= kLongestName, ErrorCode::Unsupported, tensor.name,
                   ": is too long for a name in GGUF");
        putText(head, tensor.name);
        put(head, static_cast<std::uint32_t>(tensor.shape.size()));
        for (auto dim = tensor.shape.rbegin(); dim != tensor.shape.rend(); ++dim) {
            put(head, static_cast<std::uint64_t>(*dim));
        }
        put(head, static_cast<std::uint32_t>(tensor.type));
        put(head, static_cast<std::uint64_t>(offset));
        offset += padded(tensor.bytes());
    }
    m_file.write(head);
    pad();
}

void GgufWriter::pad()
{
    const std::int64_t written = m_file.bytesWritten();
    m_file.write(std::string(static_cast<std::size_t>(padded(written) - written), '\0'));
}

void GgufWriter::write(const std::string& name, const at::Tensor& tensor)
{
    QW_REQUIRE(m_next < m_tensors.size() && m_tensors[m_next].name == name, ErrorCode::Internal,
               m_name, ": tensor \"", name, "\" was not announced next");
    const at::Tensor host = tensor.cpu().contiguous();
    QW_REQUIRE(static_cast<std::int64_t>(host.nbytes()) == m_tensors[m_next].bytes(),
               ErrorCode::Internal, m_name, ": tensor \"", name, "\" is not of the size announced");
    m_file.write(std::as_bytes(std::span(static_cast<const char*>(host.data_ptr()),
                                         static_cast<std::size_t>(host.nbytes()))));
    pad();
    ++m_next;
}

void GgufWriter::finish()
{
    QW_REQUIRE(m_next == m_tensors.size(), ErrorCode::Internal, m_name, ": ",
               m_tensors.size() - m_next, " announced tensors were never written");
    m_file.commit();
}

} // namespace qw
