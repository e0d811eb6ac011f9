#include <QAbstractItemModelTester>
#include <QClipboard>
#include <QGuiApplication>
#include <QHeaderView>
#include <QScrollBar>
#include <QTest>

#include "support/base_results.h"
#include "widgets/block_table.h"

using namespace Qt::Literals::StringLiterals;
using Model = qw::BlockTableModel;

namespace {
/// Blocks 0 and 1 are done, 2 learns.
qw::RunResult threeBlocks(const std::string& id)
{
    qw::RunResult run = qw::test::sampleResult(id);
    run.layers.resize(1);
    run.layers[0].name = "model.layers.0.q_proj";
    run.blocks = {{0, 1e-3, {3, 2}, 9.5, 0.25, 1234567, 75, 4000000, {}},
                  {1, 1e-3, {5}, 12, 10.125, 910, 9, 5000000, {}},
                  {}};
    run.blocks[2].block = 2;
    run.blocks[2].losses = {8, 7, 6};
    return run;
}

QString printed(const QAbstractItemModel& model, int row)
{
    QStringList cells;
    for (int column = 0; column < Model::ColumnCount; ++column) {
        cells << model.index(row, column).data().toString();
    }
    return cells.join(u" | "_s);
}
} // namespace

class TstBlockTable : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void showsWhatIsKnown();
    void growsInPlace();
    void sortsWithMissingLast();
    void emptyColumnsAreHidden();
    void fitsBesideTheRuns();
    void copies();
};

void TstBlockTable::showsWhatIsKnown()
{
    Model model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setRuns({threeBlocks("a")}, {"LRQ"});
    QCOMPARE(printed(model, 0), u"LRQ | 0 | 9.5 | 0.25 | 38 % | 12 % | 1:15 | 2 | "
                                u"1.2 M | 4"_s);
    QCOMPARE(printed(model, 2), u"LRQ | 2 | – | – | – | – | – | 3 | – | –"_s);
    QCOMPARE(model.index(0, Model::ParametersColumn).data(Qt::ToolTipRole).toString(),
             u"1234567"_s);
    model.setRuns({}, {});
    QCOMPARE(model.rowCount(), 0);
}

void TstBlockTable::growsInPlace()
{
    Model model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    qw::RunResult run = threeBlocks("a");
    const qw::BlockResult last = run.blocks.back();
    run.blocks.pop_back();
    model.setRuns({run}, {"LRQ"});
    const QPersistentModelIndex second = model.index(1, Model::AfterColumn);
    run.blocks[1].errorAfter = 3;
    run.blocks.push_back(last);
    model.setRuns({run}, {"LRQ"});
    QVERIFY(second.isValid());
    QCOMPARE(second.data().toString(), u"3"_s);
    QCOMPARE(model.rowCount(), 3);
    model.setRuns({threeBlocks("b")}, {"LRQ"}); // another run
    QVERIFY(!second.isValid());
}

void TstBlockTable::sortsWithMissingLast()
{
    qw::BlockTable table;
    table.setRuns({threeBlocks("a")}, {"LRQ"});
    const auto blocks = [&] {
        QString order;
        for (int row = 0; row < table.model()->rowCount(); ++row) {
            order += table.model()->index(row, Model::BlockColumn).data().toString();
        }
        return order;
    };
    QCOMPARE(blocks(), u"012"_s);
    table.sortByColumn(Model::AfterColumn, Qt::DescendingOrder);
    QCOMPARE(blocks(), u"102"_s);
    table.sortByColumn(Model::AfterColumn, Qt::AscendingOrder);
    QCOMPARE(blocks(), u"012"_s);
    table.sortByColumn(Model::SecondsColumn, Qt::AscendingOrder); // as numbers: 9 s, 1:15
    QCOMPARE(blocks(), u"102"_s);
}

void TstBlockTable::emptyColumnsAreHidden()
{
    qw::BlockTable table;
    qw::RunResult gptq = threeBlocks("a"); // learns nothing
    gptq.layers[0].moved0 = qw::kMissing;
    for (qw::BlockResult& block : gptq.blocks) {
        block.losses.clear();
        block.trainedParameters = 0;
    }
    table.setRuns({gptq}, {"GPTQ"});
    for (const auto column : {Model::RunColumn, Model::IterationsColumn, Model::ParametersColumn,
                              Model::MovedColumn, Model::MovedMoreColumn}) {
        QVERIFY(table.isColumnHidden(column));
    }
    QVERIFY(!table.isColumnHidden(Model::AfterColumn));
    table.setRuns({gptq, threeBlocks("b")}, {"GPTQ", "LRQ"});
    for (int column = 0; column < Model::ColumnCount; ++column) {
        QVERIFY(!table.isColumnHidden(column));
        QVERIFY(!table.model()->headerData(column, Qt::Horizontal).toString().isEmpty());
    }
}

/// In a window of 1280 pixels the right part of the Compare page has some 600.
void TstBlockTable::fitsBesideTheRuns()
{
    qw::BlockTable table;
    qw::RunResult other = threeBlocks("b");
    other.blocks[0].errorBefore = 1.2345e-5;
    other.blocks[0].seconds = 3723;
    other.blocks[0].peakRssBytes = 12345678901;
    table.setRuns({threeBlocks("a"), other},
                  {"FlexRound W3 g128 A8, seed 1, iterations 5000", "LRQ W3 g128"});
    table.resize(600, 200);
    table.show();
    QTRY_COMPARE(table.horizontalHeader()->length(), table.viewport()->width());
    QCOMPARE(table.horizontalScrollBar()->maximum(), 0);
    QCOMPARE_GE(table.columnWidth(Model::RunColumn), 60); // enough to tell methods apart
}

void TstBlockTable::copies()
{
    qw::BlockTable table;
    table.setRuns({threeBlocks("a")}, {"LRQ"});
    table.selectRow(1);
    table.show();
    QVERIFY(QTest::qWaitForWindowActive(&table));
    table.setFocus();
    QTest::keyClick(&table, Qt::Key_C, Qt::ControlModifier);
    const QString copied = QGuiApplication::clipboard()->text();
    QVERIFY2(copied.startsWith(u"block\tbefore\tafter\t"_s), qPrintable(copied));
    QVERIFY2(copied.contains(u"\n1\t12\t10.12\t"_s) || copied.contains(u"\n1\t12\t10.13\t"_s),
             qPrintable(copied));
}

QTEST_MAIN(TstBlockTable)
#include "tst_block_table.moc"
