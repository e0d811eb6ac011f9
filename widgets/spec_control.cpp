#include "widgets/spec_control.h"

#include <limits>

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QEvent>
#include <QLineEdit>
#include <QLocale>
#include <QSignalBlocker>
#include <QSpinBox>

#include "base/error.h"
#include "report/run_spec.h"

namespace qw {

namespace {
constexpr int kWidth = 190;
using Changed = std::function<void(const Json&)>;
using Refused = std::function<void(const QString&)>;

/// Wheel turns over a form scroll it; they change a value only where the user has gone.
class CalmWheel final : public QObject
{
public:
    using QObject::QObject;
    bool eventFilter(QObject* watched, QEvent* event) override
    {
        auto* widget = qobject_cast<QWidget*>(watched);
        if (event->type() == QEvent::Wheel && widget != nullptr && !widget->hasFocus()) {
            event->ignore();
            return true;
        }
        return QObject::eventFilter(watched, event);
    }
};

SpecControl checkBox(const Changed& changed)
{
    auto* box = new QCheckBox;
    QObject::connect(box, &QCheckBox::clicked, box, [changed](bool on) { changed(on); });
    return {box, [box](const Json& value) { box->setChecked(value.get<bool>()); }};
}

/// Numbers with two names among them; the list has the usual ones.
SpecControl groupSizeBox(const Changed& changed, const Refused& refused)
{
    auto* box = new QComboBox;
    box->setEditable(true);
    box->setInsertPolicy(QComboBox::NoInsert);
    for (const char* usual : {"16", "32", "64", "128", "256", "channel", "tensor"}) {
        box->addItem(QString::fromLatin1(usual));
    }
    const auto take = [box, changed, refused] {
        try {
            changed(groupSizeToJson(groupSizeFromText(box->currentText().trimmed().toStdString())));
        } catch (const Error& error) {
            refused(QString::fromStdString(error.what()));
        }
    };
    QObject::connect(box, &QComboBox::activated, box, take);
    QObject::connect(box->lineEdit(), &QLineEdit::editingFinished, box, take);
    return {box, [box](const Json& value) { box->setEditText(plainText(value)); }};
}

/// Setting a name writes the text anew, over what is being typed: only where it is another one.
void nameLeast(QAbstractSpinBox& box, const QString& name)
{
    if (name != box.specialValueText()) {
        box.setSpecialValueText(name);
    }
}

SpecControl integerBox(const ParamSpec& param, const Changed& changed)
{
    constexpr double kMost = std::numeric_limits<int>::max();
    auto* box = new QSpinBox;
    const bool ranged = param.maximum > param.minimum;
    box->setRange(ranged ? static_cast<int>(param.minimum) : 0,
                  static_cast<int>(ranged ? std::min(param.maximum, kMost) : kMost));
    box->setKeyboardTracking(false);
    QObject::connect(box, &QSpinBox::valueChanged, box, [changed](int value) { changed(value); });
    return {box,
            [box](const Json& value) {
                const QSignalBlocker quiet(box);
                box->setValue(value.get<int>());
            },
            [box](const QString& name) { nameLeast(*box, name); }};
}

/// "0.4", not "0.400000": as many digits as the number has.
class RealBox final : public QDoubleSpinBox
{
public:
    using QDoubleSpinBox::QDoubleSpinBox;
    QString textFromValue(double value) const override
    {
        return locale()
            .toString(value, 'f', QLocale::FloatingPointShortest)
            .remove(locale().groupSeparator());
    }
    /// All numbers below 0 stand for one thing, the least of them: nothing lies between it and 0.
    void stepBy(int steps) override
    {
        if (minimum() < 0 && steps > 0 && value() < 0) {
            setValue(0);
        } else {
            QDoubleSpinBox::stepBy(steps);
        }
    }
};

SpecControl realBox(const ParamSpec& param, const Changed& changed)
{
    auto* box = new RealBox;
    const bool ranged = param.maximum > param.minimum;
    box->setRange(ranged ? param.minimum : 0, ranged ? param.maximum : 1e9);
    box->setDecimals(6);
    box->setStepType(QAbstractSpinBox::AdaptiveDecimalStepType);
    box->setKeyboardTracking(false);
    QObject::connect(box, &QDoubleSpinBox::valueChanged, box, [box, changed](double value) {
        if (value < 0 && value > box->minimum()) {
            box->setValue(box->minimum()); // comes back here
        } else {
            changed(value);
        }
    });
    return {box,
            [box](const Json& value) {
                const QSignalBlocker quiet(box);
                const auto number = value.get<double>();
                box->setValue(number < 0 ? box->minimum() : number);
            },
            [box](const QString& name) { nameLeast(*box, name); }};
}

SpecControl choiceBox(const ParamSpec& param, const Changed& changed, const QStringList& names)
{
    auto* box = new QComboBox;
    for (const std::string& choice : param.choices) {
        const QString text = QString::fromStdString(choice);
        box->addItem(names.value(box->count(), text), text);
    }
    QObject::connect(box, &QComboBox::activated, box,
                     [changed, box] { changed(box->currentData().toString().toStdString()); });
    return {box, [box](const Json& value) {
                const QString text = plainText(value);
                if (box->findData(text) < 0) { // from a file: "cuda:3"
                    box->addItem(text, text);
                }
                box->setCurrentIndex(box->findData(text));
            }};
}

SpecControl lineEdit(const Changed& changed)
{
    auto* edit = new QLineEdit;
    QObject::connect(edit, &QLineEdit::editingFinished, edit,
                     [changed, edit] { changed(edit->text().trimmed().toStdString()); });
    return {edit, [edit](const Json& value) { edit->setText(plainText(value)); }};
}

SpecControl inputFor(const ParamSpec& param, const Changed& changed, const Refused& refused,
                     const QStringList& names)
{
    if (param.key == "group_size") {
        return groupSizeBox(changed, refused);
    }
    if (std::holds_alternative<bool>(param.defaultValue)) {
        return checkBox(changed);
    }
    if (std::holds_alternative<std::int64_t>(param.defaultValue)) {
        return integerBox(param, changed);
    }
    if (std::holds_alternative<double>(param.defaultValue)) {
        return realBox(param, changed);
    }
    return param.choices.empty() ? lineEdit(changed) : choiceBox(param, changed, names);
}
} // namespace

SpecControl makeSpecControl(const ParamSpec& param, Changed changed, Refused refused,
                            const QStringList& names)
{
    SpecControl control = inputFor(param, changed, refused, names);
    if (qobject_cast<QCheckBox*>(control.widget) == nullptr) {
        control.widget->setMinimumWidth(kWidth);
    }
    control.widget->setFocusPolicy(Qt::StrongFocus);
    control.widget->installEventFilter(new CalmWheel(control.widget));
    return control;
}

QString plainText(const Json& value)
{
    return QString::fromStdString(value.is_string() ? value.get<std::string>() : value.dump());
}

} // namespace qw
