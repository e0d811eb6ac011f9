#include <cmath>

#include <QSignalSpy>
#include <QTest>
#include <QTextBlock>

#include "widgets/theme.h"
#include "widgets/token_text.h"

using namespace Qt::Literals::StringLiterals;
using qw::TokenText;

namespace {
std::vector<qw::ShadedToken> threeTokens()
{
    return {{u"One"_s, NAN, false, u"first"_s},
            {u" two\n"_s, 0.5, false, u"second"_s},
            {u"three"_s, -3, true, u"third"_s}};
}

QTextCharFormat formatAt(const TokenText& text, int position)
{
    QTextCursor cursor(text.document());
    cursor.setPosition(position + 1); // the format of the letter before it
    return cursor.charFormat();
}
} // namespace

class TstTokenText : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void showsTextColoursAndMarks();
    void findsTokens();
    void theCursorTellsOfTokens();
    void emptyPiecesAreVisible();
};

void TstTokenText::showsTextColoursAndMarks()
{
    TokenText text;
    text.setTokens(threeTokens(), 1);
    QCOMPARE(text.toPlainText(), u"One two↵\nthree"_s);
    QVERIFY(formatAt(text, 0).background().style() == Qt::NoBrush);
    QCOMPARE(formatAt(text, 4).background().color(), qw::theme::diverging(0.5));
    QCOMPARE(formatAt(text, 10).background().color(), qw::theme::diverging(-1)); // beyond the limit
    QVERIFY(formatAt(text, 10).fontUnderline());
    QVERIFY(!formatAt(text, 4).fontUnderline());
    for (const int place : {4, 10}) {
        const QTextCharFormat format = formatAt(text, place);
        QVERIFY(qw::theme::contrast(format.foreground().color(), format.background().color()) >=
                4.5);
    }
}

void TstTokenText::findsTokens()
{
    TokenText text;
    text.setTokens(threeTokens(), 1);
    QCOMPARE(text.tokenAt(0), 0);
    QCOMPARE(text.tokenAt(2), 0);
    QCOMPARE(text.tokenAt(3), 1);
    QCOMPARE(text.tokenAt(8), 1);
    QCOMPARE(text.tokenAt(9), 2);
    QCOMPARE(text.tokenAt(14), -1);
}

void TstTokenText::theCursorTellsOfTokens()
{
    TokenText text;
    text.setTokens(threeTokens(), 1);
    QSignalSpy current(&text, &TokenText::currentChanged);
    text.moveCursor(QTextCursor::End);
    text.moveCursor(QTextCursor::Left);
    QCOMPARE(current.last().first().toInt(), 2);
    text.moveCursor(QTextCursor::Start);
    QCOMPARE(current.last().first().toInt(), 0);
}

void TstTokenText::emptyPiecesAreVisible()
{
    TokenText text;
    text.setTokens({{QString(), 0.1, false, {}}, {u"x"_s, 0.1, false, {}}}, 1);
    QCOMPARE(text.toPlainText(), u"…x"_s);
}

QTEST_MAIN(TstTokenText)
#include "tst_token_text.moc"
