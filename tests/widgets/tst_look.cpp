#include <QAbstractButton>
#include <QApplication>
#include <QCheckBox>
#include <QComboBox>
#include <QDockWidget>
#include <QLineEdit>
#include <QMainWindow>
#include <QSpinBox>
#include <QTest>

#include "report/run_result.h"
#include "widgets/elided_label.h"
#include "widgets/number_text.h"
#include "widgets/theme.h"

using namespace Qt::Literals::StringLiterals;

namespace {
constexpr double kReadable = 4.5; // WCAG 2.1, level AA, normal text
constexpr double kVisible = 3;    // the same, parts of controls
} // namespace

class TstLook : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void textIsReadable_data();
    void textIsReadable();
    void contrastOfBlackAndWhite();
    void divergingIsNeutralAtZero();
    void fieldsHaveOutlinesInTheDark();
    void buttonsOfDocksFollowTheTheme();
    void namesGiveWayBeforeNumbers();
    void numbers_data();
    void numbers();
};

void TstLook::textIsReadable_data()
{
    QTest::addColumn<bool>("dark");
    QTest::addColumn<int>("text");
    QTest::addColumn<int>("ground");
    for (const bool dark : {false, true}) {
        const auto add = [dark](const char* name, QPalette::ColorRole text,
                                QPalette::ColorRole ground) {
            QTest::addRow("%s, %s", name, dark ? "dark" : "light")
                << dark << int(text) << int(ground);
        };
        add("text on window", QPalette::WindowText, QPalette::Window);
        add("text on base", QPalette::Text, QPalette::Base);
        add("text on alternate rows", QPalette::Text, QPalette::AlternateBase);
        add("button text", QPalette::ButtonText, QPalette::Button);
        add("selected text", QPalette::HighlightedText, QPalette::Highlight);
        add("quiet text on window", QPalette::PlaceholderText, QPalette::Window);
        add("quiet text on base", QPalette::PlaceholderText, QPalette::Base);
        add("link on window", QPalette::Link, QPalette::Window);
        add("tooltip", QPalette::ToolTipText, QPalette::ToolTipBase);
    }
}

void TstLook::textIsReadable()
{
    QFETCH(bool, dark);
    QFETCH(int, text);
    QFETCH(int, ground);
    const QPalette palette = dark ? qw::theme::darkPalette() : qw::theme::lightPalette();
    QCOMPARE(qw::theme::isDark(palette), dark);
    QCOMPARE_GE(qw::theme::contrast(palette.color(QPalette::ColorRole(text)),
                                    palette.color(QPalette::ColorRole(ground))),
                kReadable);
    QCOMPARE_GE(
        qw::theme::contrast(qw::theme::problemText(palette), palette.color(QPalette::Window)),
        kReadable);
    QCOMPARE_GE(qw::theme::contrast(qw::theme::goodText(palette), palette.color(QPalette::Window)),
                kReadable);
}

void TstLook::contrastOfBlackAndWhite()
{
    QCOMPARE(qw::theme::contrast(Qt::black, Qt::white), 21.0);
    QCOMPARE(qw::theme::contrast(Qt::white, Qt::black), 21.0);
    QCOMPARE(qw::theme::contrast(Qt::red, Qt::red), 1.0);
}

void TstLook::divergingIsNeutralAtZero()
{
    const QColor middle = qw::theme::diverging(0);
    QCOMPARE(middle.red(), middle.green());
    QCOMPARE(middle.green(), middle.blue());
    QVERIFY(qw::theme::diverging(-1).blue() > qw::theme::diverging(-1).red());
    QVERIFY(qw::theme::diverging(1).red() > qw::theme::diverging(1).blue());
}

void TstLook::fieldsHaveOutlinesInTheDark()
{
    qw::theme::apply(*qApp, true);
    QWidget ground;
    ground.setBackgroundRole(QPalette::Base);
    ground.setAutoFillBackground(true);
    QList<QWidget*> fields = {new QSpinBox(&ground), new QLineEdit(&ground), new QComboBox(&ground),
                              new QCheckBox(&ground)};
    for (int i = 0; i < fields.size(); ++i) {
        fields[i]->setGeometry(10, 10 + 40 * i, i == 3 ? 20 : 120, 26);
    }
    ground.resize(140, 180);
    const QImage picture = ground.grab().toImage();
    const QColor base = ground.palette().color(QPalette::Base);
    for (int i = 0; i < fields.size(); ++i) {
        double strongest = 0; // along a line through the left edge
        const int y = fields[i]->geometry().center().y();
        for (int x = 0; x < 16; ++x) {
            strongest = std::max(strongest, qw::theme::contrast(picture.pixelColor(x, y), base));
        }
        QVERIFY2(strongest >= kVisible,
                 qPrintable(u"%1: %2"_s.arg(QLatin1String(fields[i]->metaObject()->className()))
                                .arg(strongest)));
    }
    qw::theme::apply(*qApp, false);
}

void TstLook::buttonsOfDocksFollowTheTheme()
{
    qw::theme::apply(*qApp, false);
    QMainWindow window;
    auto* dock = new QDockWidget(u"dock"_s);
    window.addDockWidget(Qt::LeftDockWidgetArea, dock);
    window.show();
    for (const bool dark : {false, true}) { // the window stays open
        qw::theme::apply(*qApp, dark);
        for (const char* name : {"qt_dockwidget_closebutton", "qt_dockwidget_floatbutton"}) {
            auto* button = dock->findChild<QAbstractButton*>(QLatin1String(name));
            QVERIFY2(button != nullptr, name);
            const QImage picture = button->icon().pixmap(16).toImage();
            const QColor ground = QApplication::palette().color(QPalette::Window);
            int opaque = 0;
            for (int x = 0; x < picture.width(); ++x) {
                for (int y = 0; y < picture.height(); ++y) {
                    if (const QColor color = picture.pixelColor(x, y); color.alpha() > 200) {
                        QVERIFY2(qw::theme::contrast(color, ground) >= kVisible, name);
                        ++opaque;
                    }
                }
            }
            QVERIFY2(opaque > 0, name);
        }
    }
    qw::theme::apply(*qApp, false);
}

void TstLook::namesGiveWayBeforeNumbers()
{
    const QString name = u"a long name of a run that nobody needs to read to its end"_s;
    const QString text = name + u"  \u00b7  iteration 310/800  \u00b7  15.2 s left"_s;
    qw::ElidedLabel label;
    label.setFullText(text, name);
    const int all = label.fontMetrics().horizontalAdvance(text) + 4;
    label.resize(all, 20);
    label.setFullText(text, name); // a hidden label is told of its size later
    QCOMPARE(label.text(), text);
    QVERIFY(label.toolTip().isEmpty());
    label.resize(all * 2 / 3, 20);
    label.setFullText(text, name);
    QVERIFY2(label.text().endsWith(u"iteration 310/800  \u00b7  15.2 s left"_s),
             qPrintable(label.text()));
    QVERIFY(label.text().startsWith(u"a long"_s));
    QCOMPARE(label.toolTip(), text);
    label.resize(40, 20); // less than even the numbers take
    label.setFullText(text, name);
    QCOMPARE_LE(label.fontMetrics().horizontalAdvance(label.text()), 40);
}

void TstLook::numbers_data()
{
    QTest::addColumn<QString>("actual");
    QTest::addColumn<QString>("expected");
    namespace text = qw::text;
    QTest::newRow("perplexity") << text::perplexity(12.18, 0.01) << u"12.180 ± 0.122"_s;
    QTest::newRow("perplexity alone") << text::perplexity(12.18, qw::kMissing) << u"12.180"_s;
    QTest::newRow("missing") << text::perplexity(qw::kMissing, 0.01) << u"–"_s;
    QTest::newRow("percent, large") << text::percent(0.4567) << u"45.7 %"_s;
    QTest::newRow("percent, small") << text::percent(0.00021345) << u"0.0213 %"_s;
    QTest::newRow("percent missing") << text::percent(qw::kMissing) << u"–"_s;
    QTest::newRow("bits") << text::bitsPerWeight(4.5625) << u"4.56"_s;
    QTest::newRow("decibel") << text::decibel(33.46) << u"33.5 dB"_s;
    QTest::newRow("bytes") << text::exactBytes(9972168) << u"9,972,168 bytes"_s;
    QTest::newRow("count") << text::count(5242880) << u"5.2 M"_s;
    QTest::newRow("count, few") << text::count(812) << u"812"_s;
    QTest::newRow("seconds") << text::duration(3.14) << u"3.1 s"_s;
    QTest::newRow("minutes") << text::duration(72) << u"1:12"_s;
    QTest::newRow("hours") << text::duration(2 * 3600 + 5 * 60) << u"2 h 05"_s;
    QTest::newRow("layer") << text::shortLayerName(u"model.layers.3.mlp.up_proj"_s) << u"up_proj"_s;
}

void TstLook::numbers()
{
    QFETCH(QString, actual);
    QFETCH(QString, expected);
    QCOMPARE(actual, expected);
}

QTEST_MAIN(TstLook)
#include "tst_look.moc"
