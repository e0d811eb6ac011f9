#pragma once

#include <cstdint>
#include <vector>

#include "model/tokenizer_json.h"

namespace qw::tok {

/// The "post_processor" of tokenizer.json for one sequence: TemplateProcessing, ByteLevel (which
/// moves offsets only) and Sequence of these.
class PostProcessor
{
public:
    /// @throws Error::Unsupported, BadFile naming the part
    explicit PostProcessor(const Part& part);
    /// @param special  false leaves out what the templates add
    std::vector<std::int32_t> process(std::vector<std::int32_t> ids, bool special) const;

private:
    /// What stands in a template: ids, or the text where there are none.
    using Template = std::vector<std::vector<std::int32_t>>;
    void add(const Part& part);
    void addTemplate(const Part& part);

    std::vector<Template> m_templates;
};

} // namespace qw::tok
