#include "app/gui/overrides.h"

#include <algorithm>

#include <QCoreApplication>
#include <QRegularExpression>

#include "widgets/number_text.h"

namespace qw::overrides {

namespace {
struct Text {
    Q_DECLARE_TR_FUNCTIONS(Overrides)
};

void take(LayerOverride& target, const LayerOverride& change)
{
    if (change.bits) {
        target.bits = change.bits;
    }
    if (change.groupSize) {
        target.groupSize = change.groupSize;
    }
    if (change.rank) {
        target.rank = change.rank;
    }
    if (change.skip) {
        target.skip = change.skip;
    }
}

void drop(LayerOverride& target, const LayerOverride& fields)
{
    if (fields.bits) {
        target.bits.reset();
    }
    if (fields.groupSize) {
        target.groupSize.reset();
    }
    if (fields.rank) {
        target.rank.reset();
    }
    if (fields.skip) {
        target.skip.reset();
    }
}

void removeEmpty(RunSpec& spec)
{
    std::erase_if(spec.overrides, [](const LayerOverride& entry) {
        return !entry.bits && !entry.groupSize && !entry.rank && !entry.skip;
    });
}

/// Puts the change last, so that it wins; merges it with what that pattern already says.
void put(RunSpec& spec, const std::string& pattern, const LayerOverride& change)
{
    LayerOverride entry;
    const auto found = std::find_if(spec.overrides.begin(), spec.overrides.end(),
                                    [&](const LayerOverride& e) { return e.pattern == pattern; });
    if (found != spec.overrides.end()) {
        entry = *found;
        spec.overrides.erase(found);
    }
    entry.pattern = pattern;
    take(entry, change);
    spec.overrides.push_back(entry);
}

std::string escaped(const QString& name)
{
    return QRegularExpression::escape(name)
        .replace(QStringLiteral("\\_"), QStringLiteral("_"))
        .toStdString();
}
} // namespace

RunSpec forLayers(RunSpec spec, const QStringList& layers, const LayerOverride& change)
{
    for (const QString& layer : layers) {
        put(spec, "^" + escaped(layer) + "$", change);
    }
    return spec;
}

RunSpec forKind(RunSpec spec, const QString& layer, const LayerOverride& change)
{
    const QString kind = text::shortLayerName(layer);
    const std::string ending = escaped(u'.' + kind) + "$";
    for (LayerOverride& entry : spec.overrides) {
        if (QString::fromStdString(entry.pattern).endsWith(QString::fromStdString(ending))) {
            drop(entry, change);
        }
    }
    removeEmpty(spec);
    put(spec, ending, change);
    return spec;
}

RunSpec rankForAll(RunSpec spec, std::int64_t rank)
{
    spec.lowRank.rank = rank;
    for (LayerOverride& entry : spec.overrides) {
        entry.rank.reset();
    }
    removeEmpty(spec);
    return spec;
}

QString title(const LayerOverride& entry)
{
    QStringList what;
    if (entry.skip) {
        what << (*entry.skip ? Text::tr("skip") : Text::tr("do not skip"));
    }
    if (entry.bits) {
        what << Text::tr("%1 bits").arg(*entry.bits);
    }
    if (entry.groupSize) {
        const Json group = groupSizeToJson(*entry.groupSize);
        what << Text::tr("group %1")
                    .arg(QString::fromStdString(group.is_string() ? group.get<std::string>()
                                                                  : group.dump()));
    }
    if (entry.rank) {
        what << Text::tr("rank %1").arg(*entry.rank);
    }
    QString where = QString::fromStdString(entry.pattern);
    if (where.startsWith(u'^') && where.endsWith(u'$')) {
        where = where.mid(1, where.size() - 2);
        where.remove(u'\\');
    }
    const QString prefix = QStringLiteral("model.");
    return (where.startsWith(prefix) ? where.mid(prefix.size()) : where) + QStringLiteral(": ") +
           what.join(QStringLiteral(", "));
}

RunSpec none(RunSpec spec)
{
    spec.overrides.clear();
    return spec;
}

} // namespace qw::overrides
