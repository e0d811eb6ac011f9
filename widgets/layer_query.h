#pragma once

#include <QString>

#include "report/query_term.h"

namespace qw {

struct LayerPlanRow;
struct LayerRow;

/// A filter of layers as people type it (parseQuery() says how): all terms must hold.
///     up_proj error>10 stable_rank<20
/// Numbers are those of the tree's columns; free words are looked for in the name.
class LayerQuery
{
public:
    LayerQuery() = default; ///< every layer
    /// @throws Error::BadInput, a sentence naming the term
    static LayerQuery parse(const QString& text);
    /// What can be asked for, a line for each.
    static QString help();
    /// @param plan  what the next run does with the layer, or nullptr
    bool matches(const LayerRow& layer, const LayerPlanRow* plan) const;
    bool empty() const { return m_terms.empty(); }

private:
    std::vector<QueryTerm> m_terms;
};

} // namespace qw
