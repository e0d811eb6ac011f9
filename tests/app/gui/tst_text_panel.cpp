#include <QComboBox>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QTabWidget>
#include <QTest>
#include <QTextEdit>

#include "app/gui/engine_calls.h"
#include "store/run_store.h"
#include "support/gui_fixture.h"
#include "support/gui_runs.h"
#include "widgets/token_text.h"

using namespace Qt::Literals::StringLiterals;
using qw::TokenText;
using qw::test::GuiFixture;
using qw::test::kPatience;
using qw::test::shoot;

class TstTextPanel : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void comparesTokenByToken();
    void cancels();
    void saysWhenNoRunKeptItsArtifact();

private:
    /// A window on the Text tab with one real run of the bundled model, rounded to 3 bits.
    static void openText(GuiFixture& gui);
};

void TstTextPanel::openText(GuiFixture& gui)
{
    gui.window.reset();
    {
        qw::RunSpec spec;
        spec.model = "demo";
        spec.weight.bits = 3;
        spec.weight.groupSize = 64;
        spec.evaluation.text = "demo:evaluation";
        spec.evaluation.windows = 1;
        spec.threads = 1;
        qw::RunStore store(gui.storeFile().toStdString());
        qw::RunOptions options;
        options.workFolder = gui.folder.filePath(u"work"_s).toStdString();
        qw::runQuantization(spec, store, options, {});
    }
    gui.reopen();
    gui.trigger("compareAction");
    gui.find<QTabWidget>("compareTabs")->setCurrentWidget(gui.find<QWidget>("textTab"));
    auto* runs = gui.find<QComboBox>("textRunComboBox");
    QTRY_COMPARE_WITH_TIMEOUT(runs->count(), 1, kPatience);
}

void TstTextPanel::comparesTokenByToken()
{
    GuiFixture gui;
    openText(gui);
    auto* text = gui.find<QPlainTextEdit>("promptTextEdit");
    auto* compare = gui.find<QPushButton>("compareTextButton");
    QVERIFY(!compare->isEnabled()); // nothing typed
    QTest::mouseClick(gui.find<QPushButton>("takeLineButton"), Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(text->toPlainText().size() >= 40, kPatience);
    const QString line = text->toPlainText();
    QVERIFY(compare->isEnabled());
    text->setFocus();
    QTest::keyClick(text, Qt::Key_Return, Qt::ControlModifier);
    auto* tokens = gui.find<TokenText>("tokenText");
    QTRY_VERIFY_WITH_TIMEOUT(tokens->tokens().size() > 5, kPatience);
    QString shown;
    int fallen = 0;
    for (const qw::ShadedToken& token : tokens->tokens()) {
        shown += token.text;
        fallen += token.value > 0 ? 1 : 0;
    }
    QVERIFY2(shown.endsWith(line), qPrintable(shown));
    QVERIFY(fallen > 0);
    QVERIFY(gui.find<QLabel>("textNoteLabel")->text().contains(u"largest fall"_s));
    auto* full = gui.find<QTextEdit>("fullContinuationText");
    auto* quantized = gui.find<QTextEdit>("quantizedContinuationText");
    QTRY_VERIFY_WITH_TIMEOUT(compare->isEnabled(), kPatience); // done
    QVERIFY(full->toPlainText().size() > 20);
    QVERIFY(quantized->toPlainText().size() > 20);
    tokens->moveCursor(QTextCursor::End);
    tokens->moveCursor(QTextCursor::Left);
    QVERIFY(gui.find<QLabel>("tokenLabel")->text().contains(u"probability"_s));
    shoot(*gui.window, u"compare-text"_s);
    // Of another text or run it is grey and says so, until that is chosen again.
    auto* stale = gui.find<QLabel>("staleTextLabel");
    QVERIFY(!stale->isVisible());
    text->setPlainText(line + u" and on"_s);
    QVERIFY(stale->isVisible() && !tokens->isEnabled() && !full->isEnabled());
    text->setPlainText(line);
    QVERIFY(!stale->isVisible() && tokens->isEnabled());
    auto* runs = gui.find<QComboBox>("textRunComboBox");
    const QString shownRun = runs->currentText();
    runs->addItem(u"another run"_s, u"another"_s);
    runs->setFocus();
    QTest::keyClick(runs, Qt::Key_Down);
    QCOMPARE(runs->currentText(), u"another run"_s);
    QVERIFY2(stale->isVisible() && stale->text().contains(shownRun), qPrintable(stale->text()));
    QTest::keyClick(runs, Qt::Key_Up);
    QVERIFY(!stale->isVisible());
    QTest::mouseClick(gui.find<QPushButton>("takeLineButton"), Qt::LeftButton);
    QVERIFY(text->toPlainText() != line); // the next one
}

void TstTextPanel::cancels()
{
    GuiFixture gui;
    openText(gui);
    gui.find<QPlainTextEdit>("promptTextEdit")->setPlainText(u"One morning the miller went"_s);
    QTest::mouseClick(gui.find<QPushButton>("compareTextButton"), Qt::LeftButton);
    auto* cancel = gui.find<QPushButton>("cancelTextButton");
    QVERIFY(cancel->isEnabled());
    QTest::mouseClick(cancel, Qt::LeftButton);
    QCOMPARE(gui.find<QLabel>("textNoteLabel")->text(), u"cancelled"_s);
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QPushButton>("compareTextButton")->isEnabled(), kPatience);
    QVERIFY(gui.find<TokenText>("tokenText")->tokens().empty());

    // Cancelled after the tokens came: the continuations do not go on for ever.
    QTest::mouseClick(gui.find<QPushButton>("compareTextButton"), Qt::LeftButton);
    auto* full = gui.find<QTextEdit>("fullContinuationText");
    QTRY_VERIFY_WITH_TIMEOUT(full->toPlainText().contains(u"going on"_s), kPatience);
    QTest::mouseClick(cancel, Qt::LeftButton);
    QCOMPARE(gui.find<QLabel>("textNoteLabel")->text(), u"cancelled"_s);
    QCOMPARE(full->toPlainText(), QString());
    QCOMPARE(gui.find<QTextEdit>("quantizedContinuationText")->toPlainText(), QString());
    QVERIFY(!gui.find<TokenText>("tokenText")->tokens().empty()); // those are right
}

void TstTextPanel::saysWhenNoRunKeptItsArtifact()
{
    GuiFixture gui;
    gui.window.reset();
    qw::test::fillStore(gui.storeFile().toStdString());
    gui.reopen();
    gui.trigger("compareAction");
    gui.find<QTabWidget>("compareTabs")->setCurrentWidget(gui.find<QWidget>("textTab"));
    QTRY_VERIFY_WITH_TIMEOUT(
        gui.find<QLabel>("textNoteLabel")->text().contains(u"kept its artifact"_s), kPatience);
    QVERIFY(!gui.find<QPushButton>("takeLineButton")->isEnabled());
}

QTEST_MAIN(TstTextPanel)
#include "tst_text_panel.moc"
