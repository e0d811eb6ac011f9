#include <QLineEdit>
#include <QListWidget>
#include <QPointer>
#include <QTest>

#include "widgets/command_palette.h"

using namespace Qt::Literals::StringLiterals;

class TstCommandPalette : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void score_data();
    void score();
    void typingFindsAndReturnRuns();
    void arrowsMove();
};

void TstCommandPalette::score_data()
{
    QTest::addColumn<QString>("pattern");
    QTest::addColumn<QString>("better");
    QTest::addColumn<QString>("worse");
    QTest::newRow("beginning of a word") << u"open"_s << u"Open Model Folder"_s << u"Reopen"_s;
    QTest::newRow("run of letters") << u"rank"_s << u"Rank curve"_s << u"Read a new key"_s;
    QTest::newRow("word initials") << u"omf"_s << u"Open Model Folder"_s << u"Some form"_s;
    QTest::newRow("any case") << u"QUIT"_s << u"Quit"_s << u"Quite a long text at the end"_s;
    QTest::newRow("found at all") << u"up_proj"_s << u"model.layers.0.mlp.up_proj"_s << u"Quit"_s;
}

void TstCommandPalette::score()
{
    QFETCH(QString, pattern);
    QFETCH(QString, better);
    QFETCH(QString, worse);
    QVERIFY(qw::matchScore(pattern, better) >= 0);
    QCOMPARE_GT(qw::matchScore(pattern, better), qw::matchScore(pattern, worse));
}

void TstCommandPalette::typingFindsAndReturnRuns()
{
    QString ran;
    QPointer<qw::CommandPalette> palette =
        new qw::CommandPalette({{u"Open Model Folder"_s, u"Ctrl+O"_s, [&] { ran = u"open"_s; }},
                                {u"Quit"_s, u"Ctrl+Q"_s, [&] { ran = u"quit"_s; }}});
    palette->show();
    auto* input = palette->findChild<QLineEdit*>(u"paletteLineEdit"_s);
    auto* list = palette->findChild<QListWidget*>(u"paletteList"_s);
    QCOMPARE(list->count(), 2);
    QTest::keyClicks(input, u"qui"_s);
    QCOMPARE(list->count(), 1);
    QTest::keyClick(input, Qt::Key_Return);
    QCOMPARE(ran, u"quit"_s);
    QTRY_VERIFY(palette.isNull()); // closed and gone
}

void TstCommandPalette::arrowsMove()
{
    QString ran;
    auto* palette = new qw::CommandPalette(
        {{u"a"_s, {}, [&] { ran = u"a"_s; }}, {u"b"_s, {}, [&] { ran = u"b"_s; }}});
    palette->show();
    auto* input = palette->findChild<QLineEdit*>(u"paletteLineEdit"_s);
    QTest::keyClick(input, Qt::Key_Down);
    QTest::keyClick(input, Qt::Key_Return);
    QCOMPARE(ran, u"b"_s);
}

QTEST_MAIN(TstCommandPalette)
#include "tst_command_palette.moc"
