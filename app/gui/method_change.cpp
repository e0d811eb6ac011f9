#include "app/gui/method_change.h"

#include <QCoreApplication>
#include <QStringList>

#include "widgets/spec_control.h"

namespace qw {

namespace {
struct Text {
    Q_DECLARE_TR_FUNCTIONS(MethodChange)
};

void fit(RunSpec& spec, const MethodDescription& method)
{
    WeightSpec& weight = spec.weight;
    if (method.integerGridsOnly) {
        if (weight.format != "int") {
            weight.format = "int";
            weight.groupSize = WeightSpec().groupSize;
        }
        if (weight.groupSize == kPerTensor) {
            weight.groupSize = kPerChannel;
        }
    }
    if (method.findsRange) {
        weight.range = "minmax";
    }
    if (trainsModel(spec.method) && spec.activation.format == "mxint") {
        spec.activation.format = "int";
        spec.activation.attention = false;
    }
    if (spec.method == "lr-qat" && spec.training.phi == "fixed8" && weight.bits == 8) {
        weight.bits = WeightSpec().bits; // 8 leave no room for what is learned
    }
}
} // namespace

MethodChange turnedTo(const RunSpec& spec, const MethodDescription& method)
{
    MethodChange change;
    change.spec = withMethod(spec, method.id);
    fit(change.spec, method);
    const Json before = toJson(spec);
    const Json after = toJson(change.spec);
    QStringList parts;
    const auto compare = [&](const char* section, const char* key, const QString& label) {
        const Json& old = before.at(section).at(key);
        const Json& now = after.at(section).at(key);
        if (old != now) {
            const auto text = [](const Json& value) {
                return value.is_boolean() ? (value.get<bool>() ? Text::tr("on") : Text::tr("off"))
                                          : plainText(value);
            };
            parts << Text::tr("%1 %2 (was %3)").arg(label, text(now), text(old));
        }
    };
    compare("weight", "format", Text::tr("format"));
    compare("weight", "bits", Text::tr("bits"));
    compare("weight", "group_size", Text::tr("group"));
    compare("weight", "sym", Text::tr("symmetric"));
    compare("weight", "range", Text::tr("range"));
    compare("activation", "format", Text::tr("inputs of layers"));
    if (!parts.isEmpty()) {
        change.said =
            Text::tr("For %1: %2")
                .arg(QString::fromStdString(method.title), parts.join(QStringLiteral(", ")));
    }
    return change;
}

} // namespace qw
