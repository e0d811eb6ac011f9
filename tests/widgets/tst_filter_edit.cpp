#include <QApplication>
#include <QLabel>
#include <QLineEdit>
#include <QTest>

#include "base/error.h"
#include "widgets/filter_edit.h"

using namespace Qt::Literals::StringLiterals;
using qw::FilterEdit;

class TstFilterEdit : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void problemIsShownAndCleared();
    void escapeClears();
    void lineGetsTheFocus();
    void nextTypedReplaces();
};

void TstFilterEdit::problemIsShownAndCleared()
{
    FilterEdit edit(u"some"_s);
    edit.show();
    auto* problem = edit.findChild<QLabel*>(u"someProblemLabel"_s);
    QVERIFY(!problem->isVisible());
    QStringList taken;
    connect(&edit, &FilterEdit::textChanged, this, [&] {
        edit.applyTo([&](const QString& text) {
            if (text == u"<b>"_s) {
                throw qw::Error(qw::ErrorCode::BadInput, "\"<b>\" is no filter");
            }
            taken << text;
        });
    });
    edit.line()->setText(u"good"_s);
    QVERIFY(!problem->isVisible());
    edit.line()->setText(u"<b>"_s);
    QVERIFY(problem->isVisible());
    QCOMPARE(problem->text(), u"\"<b>\" is no filter"_s);
    QCOMPARE(problem->textFormat(), Qt::PlainText); // what was typed is no markup
    edit.line()->setText(u"better"_s);
    QVERIFY(!problem->isVisible());
    QCOMPARE(taken, (QStringList{u"good"_s, u"better"_s}));
}

void TstFilterEdit::escapeClears()
{
    FilterEdit edit(u"some"_s);
    edit.show();
    QVERIFY(QTest::qWaitForWindowActive(&edit));
    edit.setFocus();
    QStringList texts;
    connect(&edit, &FilterEdit::textChanged, this, [&](const QString& text) { texts << text; });
    QTest::keyClicks(edit.line(), u"up"_s);
    QTest::keyClick(edit.line(), Qt::Key_Escape);
    QCOMPARE(edit.line()->text(), QString());
    QCOMPARE(texts, (QStringList{u"u"_s, u"up"_s, QString()}));
}

void TstFilterEdit::lineGetsTheFocus()
{
    QWidget window;
    QLineEdit other(&window);
    FilterEdit edit(u"some"_s, &window);
    edit.move(0, 50);
    window.show();
    QVERIFY(QTest::qWaitForWindowActive(&window));
    other.setFocus();
    QVERIFY(other.hasFocus());
    edit.setFocus();
    QCOMPARE(QApplication::focusWidget(), edit.line());
    QVERIFY(edit.hasFocus());
}

void TstFilterEdit::nextTypedReplaces()
{
    FilterEdit edit(u"some"_s);
    edit.show();
    QVERIFY(QTest::qWaitForWindowActive(&edit));
    edit.line()->setText(u"before"_s);
    for (const QString& typed : {u"x"_s, u"y"_s}) { // also where it has the focus already
        edit.focus();
        QTest::keyClicks(QApplication::focusWidget(), typed);
        QCOMPARE(edit.line()->text(), typed);
    }
}

QTEST_MAIN(TstFilterEdit)
#include "tst_filter_edit.moc"
