#include "model/post_processor.h"

namespace qw::tok {

PostProcessor::PostProcessor(const Part& part)
{
    if (!part.isNull()) {
        add(part);
    }
}

void PostProcessor::add(const Part& part)
{
    const std::string type = part["type"].text();
    if (type == "Sequence") {
        for (const Part& step : part["processors"].elements()) {
            add(step);
        }
    } else if (type == "TemplateProcessing") {
        addTemplate(part);
    } else if (type != "ByteLevel") {
        part["type"].unsupported("TemplateProcessing, ByteLevel, Sequence");
    }
}

void PostProcessor::addTemplate(const Part& part)
{
    Template made;
    int sequences = 0;
    for (const Part& entry : part["single"].elements()) {
        const Part sequence = entry["Sequence"];
        const Part token = entry["SpecialToken"];
        if (sequence.isNull() == token.isNull()) {
            entry.bad("must hold either \"Sequence\" or \"SpecialToken\"");
        }
        std::vector<std::int32_t> ids;
        if (sequence.isNull()) {
            const std::string name = token["id"].text();
            for (const Part& id : part["special_tokens"][name]["ids"].elements()) {
                ids.push_back(id.id());
            }
            if (ids.empty()) {
                token["id"].bad("names a token without ids");
            }
        } else {
            if (sequence["id"].text() != "A") {
                sequence["id"].unsupported("A");
            }
            ++sequences;
        }
        made.push_back(std::move(ids));
    }
    if (sequences != 1) {
        part["single"].bad("must hold the sequence A once, but holds it " +
                           std::to_string(sequences) + " times");
    }
    m_templates.push_back(std::move(made));
}

std::vector<std::int32_t> PostProcessor::process(std::vector<std::int32_t> ids, bool special) const
{
    if (!special) {
        return ids;
    }
    for (const Template& pattern : m_templates) {
        std::vector<std::int32_t> framed;
        framed.reserve(ids.size() + pattern.size());
        for (const std::vector<std::int32_t>& added : pattern) {
            const std::vector<std::int32_t>& source = added.empty() ? ids : added;
            framed.insert(framed.end(), source.begin(), source.end());
        }
        ids = std::move(framed);
    }
    return ids;
}

} // namespace qw::tok
