#include <QAbstractItemModelTester>
#include <QClipboard>
#include <QGuiApplication>
#include <QHeaderView>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>

#include "support/base_results.h"
#include "widgets/run_table_model.h"
#include "widgets/table_text.h"

using namespace Qt::Literals::StringLiterals;
using Model = qw::RunTableModel;
using Mode = QAbstractItemModelTester::FailureReportingMode;
using qw::RunSummary;

namespace {
RunSummary summary(const char* id, double perplexity)
{
    RunSummary run;
    run.result = qw::test::sampleResult(id);
    run.result.score.perplexity = perplexity;
    return run;
}

QStringList column(const QAbstractItemModel& model, int column)
{
    QStringList texts;
    for (int row = 0; row < model.rowCount(); ++row) {
        texts << model.index(row, column).data().toString();
    }
    return texts;
}
} // namespace

class TstRunTableModel : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void showsWhatIsKnown();
    void pausedByTheQueueIsNotCancelled();
    void modelsStandTogether();
    void missingIsADash();
    void runsComeAndGoWithoutAReset();
    void ticksAreKeptInOrder();
    void otherModelsAreGreyedWithTheReason();
    void sortsByNumberWithMissingLast();
    void filtersByQuery();
    void editsAreAskedFor();
    void copiesAsTsv();
};

void TstRunTableModel::showsWhatIsKnown()
{
    Model model;
    QAbstractItemModelTester tester(&model, Mode::QtTest);
    RunSummary run = summary("abcdefgh1234", 12.18);
    run.tags = {"night", "w3"};
    run.notes = "first line\nsecond";
    run.starred = true;
    model.setRuns({run});
    const auto at = [&](int column) { return model.index(0, column).data().toString(); };
    QCOMPARE(at(Model::NameColumn), u"L²QER W3 g128 r8"_s);
    QCOMPARE(at(Model::PerplexityColumn), u"12.180 ± 0.122"_s); // 12.18 times 0.01
    QCOMPARE(at(Model::DeltaNllColumn), u"0.1000"_s);
    QCOMPARE(at(Model::KlColumn), u"0.0300"_s);
    QCOMPARE(at(Model::Top1Column), u"93.0 %"_s);
    QCOMPARE(at(Model::BitsPerWeightColumn), u"3.10"_s);
    QCOMPARE(at(Model::SizeColumn), u"0.01 MB"_s);
    QCOMPARE(at(Model::TagsColumn), u"night, w3"_s);
    QCOMPARE(at(Model::NotesColumn), u"first line second"_s);
    QCOMPARE(at(Model::MethodColumn), u"L²QER"_s);
    QCOMPARE(at(Model::GroupColumn), u"128"_s);
    QCOMPARE(at(Model::TimeColumn), u"4.2 s"_s);
    QCOMPARE(at(Model::IdColumn), u"abcdefgh1234"_s);
    const auto told = [&](int column, int role) {
        return model.index(0, column).data(role).toString();
    };
    QCOMPARE(told(Model::SizeColumn, Qt::ToolTipRole), u"12,345 bytes"_s);
    QCOMPARE(told(Model::StarColumn, Qt::AccessibleTextRole), u"starred"_s);
    QCOMPARE(at(Model::RemarksColumn), u"1"_s);
    QCOMPARE(told(Model::RemarksColumn, Qt::ToolTipRole), u"group_size 64 instead of 128"_s);
    for (int column = 0; column < Model::ColumnCount; ++column) {
        QVERIFY(!model.headerData(column, Qt::Horizontal, Qt::DisplayRole).toString().isEmpty());
        QVERIFY(!model.headerData(column, Qt::Horizontal, Qt::ToolTipRole).toString().isEmpty());
    }
    run.name = "L²QER W3 g128 r8, seed 1"; // made by who knows the others
    model.setRuns({run});
    QCOMPARE(at(Model::NameColumn), u"L²QER W3 g128 r8, seed 1"_s);
    QCOMPARE(told(Model::NameColumn, Model::SortRole), at(Model::NameColumn));
}

void TstRunTableModel::pausedByTheQueueIsNotCancelled()
{
    Model model;
    std::vector<RunSummary> runs = {summary("a", 1), summary("b", 2), summary("c", 3)};
    runs[0].result.status = runs[1].result.status = "cancelled";
    runs[1].result.sweep = "night";
    model.setRuns(runs);
    const QString finished = model.index(2, Model::StatusColumn).data().toString();
    model.setPaused({u"a"_s, u"night"_s, u"c"_s});
    QCOMPARE(column(model, Model::StatusColumn), (QStringList{u"paused"_s, u"paused"_s, finished}));
    QCOMPARE(model.index(0, Model::StatusColumn).data(Model::SortRole).toString(), u"paused"_s);
    // A filter finds what the table says, and what the store says.
    qw::RunTableProxy proxy;
    proxy.setSourceModel(&model);
    for (const auto& [query, rows] :
         {std::pair("status:paused", 2), std::pair("status=paused", 2),
          std::pair("-status:paused", 1), std::pair("status:cancelled", 2)}) {
        proxy.setQuery(qw::RunQuery::parse(query));
        QCOMPARE(proxy.rowCount(), rows);
    }
    proxy.setQuery(qw::RunQuery::parse("status:paused"));
    model.setPaused({u"a"_s}); // the sweep goes on
    QCOMPARE(proxy.rowCount(), 1);
    model.setPaused({});
    QCOMPARE(proxy.rowCount(), 0);
    QCOMPARE(column(model, Model::StatusColumn),
             (QStringList{u"cancelled"_s, u"cancelled"_s, finished}));
}

void TstRunTableModel::modelsStandTogether()
{
    Model model;
    std::vector<RunSummary> runs = {summary("a", 1), summary("b", 2), summary("c", 3),
                                    summary("d", 4)};
    for (std::size_t i = 0; i < runs.size(); ++i) {
        runs[i].result.spec.model = i % 2 == 0 ? "/models/small" : "/models/large";
        runs[i].result.bitsPerWeight = static_cast<double>(i);
    }
    model.setRuns(runs);
    qw::RunTableProxy proxy;
    proxy.setSourceModel(&model);
    proxy.sort(Model::BitsPerWeightColumn, Qt::DescendingOrder);
    const auto ids = [&] {
        QStringList found;
        for (int row = 0; row < proxy.rowCount(); ++row) {
            found << proxy.index(row, 0).data(Model::IdRole).toString();
        }
        return found.join(u' ');
    };
    QCOMPARE(ids(), u"d c b a"_s);
    proxy.setGrouped(true);
    QCOMPARE(ids(), u"d b c a"_s); // large before small
    proxy.sort(Model::BitsPerWeightColumn, Qt::AscendingOrder);
    QCOMPARE(ids(), u"b d a c"_s);
    proxy.setGrouped(false);
    QCOMPARE(ids(), u"a b c d"_s);
}

void TstRunTableModel::missingIsADash()
{
    Model model;
    RunSummary run;
    run.result.id = "abcdefgh1234";
    run.result.status = "failed";
    run.result.problem = "no room";
    run.result.substitutions = {"group_size 64 instead of 128"};
    model.setRuns({run});
    for (const int column :
         {Model::PerplexityColumn, Model::DeltaNllColumn, Model::KlColumn, Model::Top1Column,
          Model::BitsPerWeightColumn, Model::SizeColumn, Model::TimeColumn, Model::MemoryColumn}) {
        QCOMPARE(model.index(0, column).data().toString(), u"–"_s);
    }
    const QString tip = model.index(0, Model::NameColumn).data(Qt::ToolTipRole).toString();
    QVERIFY2(tip.contains(u"group_size 64 instead of 128"_s), qPrintable(tip));
    QVERIFY2(tip.contains(u"failed: no room"_s), qPrintable(tip));
}

void TstRunTableModel::runsComeAndGoWithoutAReset()
{
    Model model;
    QAbstractItemModelTester tester(&model, Mode::QtTest);
    model.setRuns({summary("c", 3), summary("b", 2), summary("a", 1)});
    const QPersistentModelIndex kept(model.index(1, 0));
    QSignalSpy resets(&model, &QAbstractItemModel::modelReset);
    model.setRuns({summary("e", 5), summary("c", 3), summary("b", 2.5), summary("a", 1)});
    model.setRuns({summary("e", 5), summary("d", 4), summary("b", 2.5)});
    QCOMPARE(resets.size(), 0);
    QCOMPARE(column(model, Model::IdColumn), (QStringList{u"e"_s, u"d"_s, u"b"_s}));
    QVERIFY(kept.isValid());
    QCOMPARE(kept.data(Model::IdRole).toString(), u"b"_s);
    QVERIFY(
        kept.sibling(kept.row(), Model::PerplexityColumn).data().toString().startsWith(u"2.500"));
    model.setRuns({summary("b", 2.5), summary("e", 5), summary("d", 4)}); // b began anew
    QCOMPARE(column(model, Model::IdColumn), (QStringList{u"b"_s, u"e"_s, u"d"_s}));
    model.setRuns({});
    QCOMPARE(model.rowCount(), 0);
}

void TstRunTableModel::ticksAreKeptInOrder()
{
    Model model;
    model.setRuns({summary("b", 2), summary("a", 1)});
    QSignalSpy changed(&model, &Model::tickedChanged);
    for (const int row : {1, 0}) {
        QVERIFY(model.setData(model.index(row, 0), Qt::Checked, Qt::CheckStateRole));
    }
    QCOMPARE(model.ticked(), (QStringList{u"a"_s, u"b"_s}));
    QCOMPARE(model.index(0, 0).data(Qt::CheckStateRole).toInt(), int(Qt::Checked));
    model.setRuns({summary("b", 2)}); // deleted, and brought back
    model.setRuns({summary("b", 2), summary("a", 1)});
    QCOMPARE(model.ticked(), (QStringList{u"a"_s, u"b"_s}));
    model.setData(model.index(1, 0), Qt::Unchecked, Qt::CheckStateRole);
    QCOMPARE(model.ticked(), QStringList{u"b"_s});
    QCOMPARE(changed.size(), 3);
}

void TstRunTableModel::otherModelsAreGreyedWithTheReason()
{
    Model model;
    RunSummary other = summary("other", 5);
    other.result.provenance.modelHash = "another";
    RunSummary text = summary("text", 5);
    text.result.score.textHash = "another";
    model.setRuns({summary("ref", 2), summary("same", 3), other, text});
    model.setReference(u"ref"_s);
    QCOMPARE(model.reason(0), QString());
    QCOMPARE(model.reason(1), QString());
    QCOMPARE(model.reason(2), u"they are of different models"_s);
    QVERIFY(!model.reason(3).isEmpty());
    QVERIFY(!model.index(1, 0).data(Qt::ForegroundRole).isValid());
    QVERIFY(model.index(2, 0).data(Qt::ForegroundRole).isValid());
    QVERIFY(model.index(2, 0).data(Qt::FontRole).value<QFont>().italic());
    const QString tip = model.index(2, 0).data(Qt::ToolTipRole).toString();
    QVERIFY2(tip.contains(u"different models"_s) && tip.contains(u"(ref)"_s), qPrintable(tip));
    model.setReference(u"other"_s);
    QVERIFY(!model.reason(0).isEmpty());
    QCOMPARE(model.reason(2), QString());
}

void TstRunTableModel::sortsByNumberWithMissingLast()
{
    Model model;
    model.setRuns(
        {summary("a", 10), summary("b", qw::kMissing), summary("c", 9), summary("d", 100)});
    qw::RunTableProxy proxy;
    QAbstractItemModelTester tester(&proxy, Mode::QtTest);
    proxy.setSourceModel(&model);
    proxy.sort(Model::PerplexityColumn, Qt::AscendingOrder);
    QCOMPARE(column(proxy, Model::IdColumn), (QStringList{u"c"_s, u"a"_s, u"d"_s, u"b"_s}));
    proxy.sort(Model::PerplexityColumn, Qt::DescendingOrder);
    QCOMPARE(column(proxy, Model::IdColumn), (QStringList{u"d"_s, u"a"_s, u"c"_s, u"b"_s}));
}

void TstRunTableModel::filtersByQuery()
{
    Model model;
    model.setRuns({summary("a", 10), summary("b", 20)});
    qw::RunTableProxy proxy;
    proxy.setSourceModel(&model);
    proxy.setQuery(qw::RunQuery::parse("bits:3 ppl<15"));
    QCOMPARE(column(proxy, Model::IdColumn), QStringList{u"a"_s});
    model.setRuns({summary("c", 5), summary("a", 10), summary("b", 20)});
    QCOMPARE(column(proxy, Model::IdColumn), (QStringList{u"c"_s, u"a"_s}));
    proxy.setQuery({});
    QCOMPARE(proxy.rowCount(), 3);
}

void TstRunTableModel::editsAreAskedFor()
{
    Model model;
    model.setRuns({summary("a", 10)});
    QSignalSpy tags(&model, &Model::tagsEdited);
    QSignalSpy notes(&model, &Model::notesEdited);
    model.setData(model.index(0, Model::TagsColumn), u"x,  y z ,,x"_s, Qt::EditRole);
    QCOMPARE(tags.first().at(1).toStringList(), (QStringList{u"x"_s, u"y z"_s}));
    model.setData(model.index(0, Model::NotesColumn), u"why"_s, Qt::EditRole);
    QCOMPARE(notes.first(), (QVariantList{u"a"_s, u"why"_s}));
    QVERIFY(!model.setData(model.index(0, Model::KlColumn), 1, Qt::EditRole));
    QVERIFY(model.flags(model.index(0, Model::TagsColumn)) & Qt::ItemIsEditable);
    QVERIFY(!(model.flags(model.index(0, Model::KlColumn)) & Qt::ItemIsEditable));
}

void TstRunTableModel::copiesAsTsv()
{
    Model model;
    RunSummary run = summary("a", 10);
    run.notes = "one\ttwo";
    model.setRuns({run, summary("b", 20)});
    QTableView table;
    table.setModel(&model);
    table.setSelectionBehavior(QAbstractItemView::SelectRows);
    for (int column = 0; column < Model::ColumnCount; ++column) {
        table.setColumnHidden(column, column != Model::IdColumn && column != Model::NotesColumn);
    }
    table.horizontalHeader()->moveSection(Model::NotesColumn, 0);
    QCOMPARE(qw::tableText(table), u"notes\tid\none two\ta\n\tb\n"_s);
    table.selectRow(1);
    QCOMPARE(qw::tableText(table), u"notes\tid\n\tb\n"_s);
    qw::enableCopy(table);
    table.findChild<QAction*>(u"copyRowsAction"_s)->trigger();
    QCOMPARE(QGuiApplication::clipboard()->text(), u"notes\tid\n\tb\n"_s);
}

QTEST_MAIN(TstRunTableModel)
#include "tst_run_table_model.moc"
