#include "widgets/layer_query.h"

#include <algorithm>
#include <cmath>

#include <QCoreApplication>

#include "widgets/layer_tree_model.h"

namespace qw {

namespace {
using Number = double (*)(const LayerRow&, const LayerPlanRow*);

struct Key {
    const char* name;
    const char* meaning;
    Number number = nullptr; ///< nullptr: "skip", which is yes or no
};

constexpr Key kKeys[] = {
    {"error", QT_TRANSLATE_NOOP("qw::LayerQuery", "output error in the run in view, %"),
     [](const LayerRow& l, const LayerPlanRow*) { return 100 * l.outputError; }},
    {"werror", QT_TRANSLATE_NOOP("qw::LayerQuery", "weight error in the run in view, %"),
     [](const LayerRow& l, const LayerPlanRow*) { return 100 * l.weightError; }},
    {"sqnr", QT_TRANSLATE_NOOP("qw::LayerQuery", "SQNR in the run in view, dB"),
     [](const LayerRow& l, const LayerPlanRow*) { return l.sqnrDb; }},
    {"bpw", QT_TRANSLATE_NOOP("qw::LayerQuery", "bits per weight in the run in view"),
     [](const LayerRow& l, const LayerPlanRow*) { return l.bitsPerWeight; }},
    {"rows", QT_TRANSLATE_NOOP("qw::LayerQuery", "output channels"),
     [](const LayerRow& l, const LayerPlanRow*) { return static_cast<double>(l.rows); }},
    {"cols", QT_TRANSLATE_NOOP("qw::LayerQuery", "input channels"),
     [](const LayerRow& l, const LayerPlanRow*) { return static_cast<double>(l.cols); }},
    {"weights", QT_TRANSLATE_NOOP("qw::LayerQuery", "number of weights"),
     [](const LayerRow& l, const LayerPlanRow*) { return static_cast<double>(l.rows * l.cols); }},
    {"range", QT_TRANSLATE_NOOP("qw::LayerQuery", "largest |w|"),
     [](const LayerRow& l, const LayerPlanRow*) {
         return std::fmax(std::abs(l.minimum), std::abs(l.maximum));
     }},
    {"outliers", QT_TRANSLATE_NOOP("qw::LayerQuery", "largest |w| over the standard deviation"),
     [](const LayerRow& l, const LayerPlanRow*) { return l.outlierRatio; }},
    {"stable_rank", QT_TRANSLATE_NOOP("qw::LayerQuery", "stable rank"),
     [](const LayerRow& l, const LayerPlanRow*) { return l.stableRank; }},
    {"bits", QT_TRANSLATE_NOOP("qw::LayerQuery", "bits of a weight in the next run"),
     [](const LayerRow&, const LayerPlanRow* plan) {
         return plan != nullptr && !plan->skip ? static_cast<double>(plan->bits) : kMissing;
     }},
    {"rank", QT_TRANSLATE_NOOP("qw::LayerQuery", "rank in the next run"),
     [](const LayerRow&, const LayerPlanRow* plan) {
         return plan != nullptr && !plan->skip && plan->hasRank && !plan->rankFull
                    ? static_cast<double>(plan->rank)
                    : kMissing;
     }},
    {"skip", QT_TRANSLATE_NOOP("qw::LayerQuery", "yes or no: left as it is in the next run")},
};

const QueryLanguage& language()
{
    static const QueryLanguage kLanguage = [] {
        QueryLanguage made{"layers", "error, rows, stable_rank, bits, skip and others", {}};
        for (const Key& key : kKeys) {
            made.keys.push_back({key.name, key.number != nullptr, key.meaning});
        }
        return made;
    }();
    return kLanguage;
}
} // namespace

LayerQuery LayerQuery::parse(const QString& text)
{
    LayerQuery query;
    query.m_terms = parseQuery(text.toStdString(), language());
    return query;
}

QString LayerQuery::help()
{
    QString help;
    for (const Key& key : kKeys) {
        help += QStringLiteral("\n%1  %2")
                    .arg(QString::fromLatin1(key.name),
                         QCoreApplication::translate("qw::LayerQuery", key.meaning));
    }
    return help;
}

bool LayerQuery::matches(const LayerRow& layer, const LayerPlanRow* plan) const
{
    const auto fulfils = [&](const QueryTerm& term) {
        if (term.key.empty()) {
            return hasPart(layer.name.toStdString(), term.texts.front());
        }
        const Key& key = *std::find_if(std::begin(kKeys), std::end(kKeys),
                                       [&](const Key& known) { return term.key == known.name; });
        return key.number != nullptr ? term.holds(key.number(layer, plan))
                                     : term.holds(std::vector<std::string>{
                                           plan != nullptr && plan->skip ? "yes" : "no"});
    };
    return std::all_of(m_terms.begin(), m_terms.end(),
                       [&](const QueryTerm& term) { return fulfils(term) != term.negated; });
}

} // namespace qw
