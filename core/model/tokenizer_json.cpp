#include "model/tokenizer_json.h"

#include "base/error.h"
#include "base/json_problem.h"
#include "model/utf8.h"

namespace qw::tok {

namespace {

constexpr std::size_t kMaxDepth = 32;
constexpr std::int64_t kIdLimit = std::int64_t{1} << 24;

/// Builds the tree itself because the library's own parser keeps the last of duplicate keys
/// silently and knows no depth limit.
class TreeBuilder : public nlohmann::json_sax<JsonTree>
{
public:
    explicit TreeBuilder(const std::string& file) : m_file(file) {}
    JsonTree take() { return std::move(m_root); }

    bool null() override { return put(nullptr); }
    bool boolean(bool value) override { return put(value); }
    bool number_integer(number_integer_t value) override { return put(value); }
    bool number_unsigned(number_unsigned_t value) override { return put(value); }
    bool number_float(number_float_t value, const string_t&) override { return put(value); }
    bool string(string_t& value) override { return put(std::move(value)); }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(JsonTree::object()); }
    bool start_array(std::size_t) override { return open(JsonTree::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(string_t& value) override
    {
        auto [place, fresh] =
            m_stack.back()->get_ref<JsonTree::object_t&>().emplace(value, nullptr);
        QW_REQUIRE(fresh, ErrorCode::BadFile, m_file, ": the key \"", value.substr(0, 80),
                   "\" occurs twice in one object.");
        m_member = &place->second;
        return true;
    }
    bool parse_error(std::size_t, const std::string&,
                     const nlohmann::detail::exception& problem) override
    {
        throw Error(ErrorCode::BadFile,
                    message(m_file, ": is not valid JSON: ", jsonProblem(problem)));
    }

private:
    JsonTree* put(JsonTree value, bool)
    {
        if (m_stack.empty()) {
            m_root = std::move(value);
            return &m_root;
        }
        if (m_stack.back()->is_array()) {
            auto& list = m_stack.back()->get_ref<JsonTree::array_t&>();
            list.push_back(std::move(value));
            return &list.back();
        }
        *m_member = std::move(value);
        return m_member;
    }
    bool put(JsonTree value) { return put(std::move(value), true) != nullptr; }
    bool open(JsonTree container)
    {
        QW_REQUIRE(m_stack.size() < kMaxDepth, ErrorCode::BadFile, m_file, ": nested deeper than ",
                   kMaxDepth, " levels.");
        m_stack.push_back(put(std::move(container), true));
        return true;
    }
    bool close()
    {
        m_stack.pop_back();
        return true;
    }

    const std::string& m_file;
    JsonTree m_root;
    std::vector<JsonTree*> m_stack; ///< parents only grow after their open child is closed
    JsonTree* m_member = nullptr;
};

} // namespace

JsonTree parseTokenizerJson(std::string_view text, const std::string& file)
{
    TreeBuilder builder(file);
    JsonTree::sax_parse(text.begin(), text.end(), &builder);
    JsonTree tree = builder.take();
    QW_REQUIRE(tree.is_object(), ErrorCode::BadFile, file, ": expected a JSON object, found ",
               tree.type_name(), ".");
    return tree;
}

Part::Part(const JsonTree& value, std::string file, std::string path)
    : m_value(&value), m_file(std::move(file)), m_path(std::move(path))
{
}

std::string Part::where() const
{
    return m_path.empty() ? m_file : m_file + ": " + m_path;
}

void Part::bad(const std::string& what) const
{
    throw Error(ErrorCode::BadFile, where() + " " + what + ".");
}

void Part::unsupported(const std::string& known) const
{
    const std::string found = m_value->is_string()
                                  ? '"' + m_value->get<std::string>().substr(0, 80) + '"'
                              : m_value->is_boolean() || m_value->is_number() || m_value->is_null()
                                  ? m_value->dump()
                                  : std::string(m_value->type_name());
    throw Error(ErrorCode::Unsupported,
                where() + " is " + found + ", which is not supported; supported: " + known + ".");
}

Part Part::operator[](const std::string& key) const
{
    static const JsonTree kNothing;
    if (!m_value->is_object()) {
        bad("must be an object, not " + std::string(m_value->type_name()));
    }
    const auto found = m_value->find(key);
    return {found == m_value->end() ? kNothing : *found, m_file,
            m_path.empty() ? key : m_path + "." + key};
}

std::vector<Part> Part::elements() const
{
    if (!m_value->is_array()) {
        bad("must be a list, not " + std::string(m_value->type_name()));
    }
    std::vector<Part> parts;
    parts.reserve(m_value->size());
    for (std::size_t i = 0; i < m_value->size(); ++i) {
        parts.emplace_back((*m_value)[i], m_file, m_path + "[" + std::to_string(i) + "]");
    }
    return parts;
}

std::string Part::text() const
{
    if (!m_value->is_string()) {
        bad("must be a string, not " + std::string(m_value->type_name()));
    }
    return m_value->get<std::string>();
}

std::string Part::textOr(std::string otherwise) const
{
    return isNull() ? std::move(otherwise) : text();
}

bool Part::flag() const
{
    if (!m_value->is_boolean()) {
        bad("must be true or false, not " + std::string(m_value->type_name()));
    }
    return m_value->get<bool>();
}

bool Part::flagOr(bool otherwise) const
{
    return isNull() ? otherwise : flag();
}

std::int32_t Part::id() const
{
    if (!m_value->is_number_integer() || *m_value < 0 || *m_value >= kIdLimit) {
        bad("must be a token id from 0 to 16777215, not " +
            (m_value->is_number() ? m_value->dump() : std::string(m_value->type_name())));
    }
    return m_value->get<std::int32_t>();
}

std::int64_t Part::countOr(std::int64_t otherwise) const
{
    return isNull() ? otherwise : id();
}

char32_t Part::character() const
{
    const std::string content = text();
    const CodePoint first = content.empty() ? CodePoint{} : codePointAt(content, 0);
    if (first.length == 0 || first.length != content.size()) {
        bad("must be one character, not \"" + content.substr(0, 80) + "\"");
    }
    return first.value;
}

} // namespace qw::tok
