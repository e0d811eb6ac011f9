#include <QAbstractItemModelTester>
#include <QAction>
#include <QClipboard>
#include <QGuiApplication>
#include <QSignalSpy>
#include <QTest>
#include <QTreeView>

#include "base/error.h"
#include "widgets/layer_tree_model.h"
#include "widgets/table_text.h"

using namespace Qt::Literals::StringLiterals;
using qw::LayerQuery;
using qw::LayerTreeModel;
using qw::LayerTreeProxy;

namespace {
std::vector<qw::LayerRow> twoBlocks()
{
    std::vector<qw::LayerRow> layers;
    for (const QString& block : {u"0"_s, u"1"_s}) {
        for (const QString& kind : {u"self_attn.q_proj"_s, u"mlp.up_proj"_s}) {
            qw::LayerRow row;
            row.name = u"model.layers."_s + block + u'.' + kind;
            row.rows = 8;
            row.cols = kind.startsWith(u"mlp") ? 32 : 8;
            layers.push_back(row);
        }
    }
    return layers;
}

qw::LayerResult result(const char* name, double outputError)
{
    qw::LayerResult layer;
    layer.name = name;
    layer.outputError = outputError;
    layer.bitsPerWeight = 4;
    return layer;
}

QStringList printed(const QAbstractItemModel& model, const QModelIndex& parent = {})
{
    QStringList lines;
    for (int row = 0; row < model.rowCount(parent); ++row) {
        const QModelIndex first = model.index(row, 0, parent);
        lines << first.data().toString() + u" | "_s +
                     first.siblingAtColumn(LayerTreeModel::OutputErrorColumn).data().toString();
        lines << printed(model, first);
    }
    return lines;
}
} // namespace

class TstLayerTreeModel : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void blocksAndLayers();
    void resultsFillAndClear();
    void weightsFillOneLayer();
    void sortsByNumberWithMissingLast();
    void filtersByPartOfTheName();
    void filtersByNumbers_data();
    void filtersByNumbers();
    void filterFollowsNumbersThatArrive();
    void filterExplainsItself();
    void copiesAsTsv();
    void worseIsHotter();
    void plansShowAndAskForEdits();
};

void TstLayerTreeModel::blocksAndLayers()
{
    LayerTreeModel model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setLayers(twoBlocks());
    QCOMPARE(printed(model), (QStringList{u"block 0 | –"_s, u"q_proj | –"_s, u"up_proj | –"_s,
                                          u"block 1 | –"_s, u"q_proj | –"_s, u"up_proj | –"_s}));
    QCOMPARE(model.layersAt(model.index(1, 0)),
             (QStringList{u"model.layers.1.self_attn.q_proj"_s, u"model.layers.1.mlp.up_proj"_s}));
    const QModelIndex up = model.indexOf(u"model.layers.1.mlp.up_proj"_s);
    QCOMPARE(model.layersAt(up), QStringList{u"model.layers.1.mlp.up_proj"_s});
    QCOMPARE(up.siblingAtColumn(LayerTreeModel::ShapeColumn).data().toString(), u"8 × 32"_s);
    QVERIFY(!model.indexOf(u"nothing"_s).isValid());
    model.setLayers({});
    QCOMPARE(model.rowCount(), 0);
}

void TstLayerTreeModel::resultsFillAndClear()
{
    LayerTreeModel model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setLayers(twoBlocks());
    model.setResults({result("model.layers.0.self_attn.q_proj", 0.02),
                      result("model.layers.0.mlp.up_proj", 0.05)});
    QCOMPARE(printed(model), // a block is as bad as its worst layer
             (QStringList{u"block 0 | 5.00 %"_s, u"q_proj | 2.00 %"_s, u"up_proj | 5.00 %"_s,
                          u"block 1 | –"_s, u"q_proj | –"_s, u"up_proj | –"_s}));
    model.setResults({});
    QCOMPARE(printed(model).first(), u"block 0 | –"_s);
}

void TstLayerTreeModel::weightsFillOneLayer()
{
    LayerTreeModel model;
    model.setLayers(twoBlocks());
    QSignalSpy changed(&model, &QAbstractItemModel::dataChanged);
    model.setWeights(u"model.layers.1.mlp.up_proj"_s, -0.25, 0.5, 7.25, 12.5);
    QVERIFY(!changed.isEmpty());
    const QModelIndex up = model.indexOf(u"model.layers.1.mlp.up_proj"_s);
    QCOMPARE(up.siblingAtColumn(LayerTreeModel::RangeColumn).data().toString(),
             u"-0.250 .. 0.500"_s);
    QCOMPARE(up.siblingAtColumn(LayerTreeModel::OutlierColumn).data().toString(), u"7.2"_s);
    QCOMPARE(up.siblingAtColumn(LayerTreeModel::StableRankColumn).data().toString(), u"12.5"_s);
    const QModelIndex other = model.indexOf(u"model.layers.0.mlp.up_proj"_s);
    QCOMPARE(other.siblingAtColumn(LayerTreeModel::OutlierColumn).data().toString(), u"–"_s);
}

void TstLayerTreeModel::sortsByNumberWithMissingLast()
{
    LayerTreeModel model;
    LayerTreeProxy proxy;
    proxy.setSourceModel(&model);
    QAbstractItemModelTester tester(&proxy, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setLayers(twoBlocks());
    model.setResults({result("model.layers.1.self_attn.q_proj", 0.1),
                      result("model.layers.1.mlp.up_proj", 0.09)});
    proxy.sort(LayerTreeModel::OutputErrorColumn, Qt::DescendingOrder);
    QCOMPARE(proxy.index(0, 0).data().toString(), u"block 1"_s);
    QCOMPARE(proxy.index(0, 0, proxy.index(0, 0)).data().toString(), u"q_proj"_s);
    proxy.sort(LayerTreeModel::OutputErrorColumn, Qt::AscendingOrder);
    QCOMPARE(proxy.index(0, 0).data().toString(), u"block 1"_s); // block 0 has no number
    QCOMPARE(proxy.index(0, 0, proxy.index(0, 0)).data().toString(), u"up_proj"_s);
}

void TstLayerTreeModel::filtersByPartOfTheName()
{
    LayerTreeModel model;
    LayerTreeProxy proxy;
    proxy.setSourceModel(&model);
    model.setLayers(twoBlocks());
    proxy.setQuery(LayerQuery::parse(u"1.MLP"_s));
    QCOMPARE(printed(proxy), (QStringList{u"block 1 | –"_s, u"up_proj | –"_s}));
    proxy.setQuery({});
    QCOMPARE(printed(proxy).size(), 6);
}

void TstLayerTreeModel::filtersByNumbers_data()
{
    QTest::addColumn<QString>("query");
    QTest::addColumn<QStringList>("blocks"); // each with its only layer that is left
    const QStringList none;
    const QString q0 = u"q_proj | 2.00 %"_s;
    const QString up0 = u"up_proj | 12.0 %"_s;
    const QString b0 = u"block 0 | 12.0 %"_s; // the worst of the block, filtered or not
    QTest::newRow("percent") << u"error>10"_s << QStringList{b0, up0};
    QTest::newRow("below") << u"error<10"_s << QStringList{b0, q0};
    QTest::newRow("missing numbers") << u"error<1"_s << none;
    QTest::newRow("both") << u"layers.0 cols>8"_s << QStringList{b0, up0};
    QTest::newRow("minus") << u"layers.0 -up_proj"_s << QStringList{b0, q0};
    QTest::newRow("rows") << u"rows>8"_s << none;
    QTest::newRow("weights") << u"weights:64 layers.0"_s << QStringList{b0, q0};
    QTest::newRow("stable rank") << u"stable_rank<20"_s << QStringList{b0, up0};
    QTest::newRow("planned bits") << u"bits:8"_s << QStringList{b0, up0};
    QTest::newRow("planned rank") << u"rank>32"_s << QStringList{b0, up0};
    QTest::newRow("skipped") << u"skip:yes"_s << QStringList{b0, q0};
}

void TstLayerTreeModel::filtersByNumbers()
{
    LayerTreeModel model;
    LayerTreeProxy proxy;
    proxy.setSourceModel(&model);
    QAbstractItemModelTester tester(&proxy, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setLayers(twoBlocks());
    model.setResults({result("model.layers.0.self_attn.q_proj", 0.02),
                      result("model.layers.0.mlp.up_proj", 0.12)});
    model.setWeights(u"model.layers.0.mlp.up_proj"_s, -0.25, 0.5, 7.25, 12.5);
    std::vector<qw::LayerPlanRow> plans(4, {.bits = 4, .rank = 32});
    plans[0].skip = true;
    plans[0].bits = 8; // of no meaning where it is skipped
    plans[1].bits = 8;
    plans[1].rank = 64;
    model.setPlans(plans);
    QFETCH(QString, query);
    proxy.setQuery(LayerQuery::parse(query));
    QTEST(printed(proxy), "blocks");
}

void TstLayerTreeModel::filterFollowsNumbersThatArrive()
{
    LayerTreeModel model;
    LayerTreeProxy proxy;
    proxy.setSourceModel(&model);
    QAbstractItemModelTester tester(&proxy, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setLayers(twoBlocks());
    proxy.setQuery(LayerQuery::parse(u"error>10"_s));
    QCOMPARE(printed(proxy), QStringList());
    model.setResults({result("model.layers.1.mlp.up_proj", 0.2)});
    QCOMPARE(printed(proxy), (QStringList{u"block 1 | 20.0 %"_s, u"up_proj | 20.0 %"_s}));
    model.setResults({});
    QCOMPARE(printed(proxy), QStringList());
}

void TstLayerTreeModel::filterExplainsItself()
{
    const QString help = LayerQuery::help();
    for (const QString& key : {u"error"_s, u"bits"_s, u"rows"_s, u"stable_rank"_s}) {
        QVERIFY2(help.contains(u'\n' + key + u"  "_s), qPrintable(help));
    }
    try {
        LayerQuery::parse(u"ppl<3"_s);
        QFAIL("accepted");
    } catch (const qw::Error& error) {
        QVERIFY2(QString::fromUtf8(error.what()).contains(u"layers have no \"ppl\""_s),
                 error.what());
    }
}

void TstLayerTreeModel::copiesAsTsv()
{
    LayerTreeModel model;
    LayerTreeProxy proxy;
    proxy.setSourceModel(&model);
    model.setLayers(twoBlocks());
    model.setResults({result("model.layers.1.mlp.up_proj", 0.2)});
    QTreeView tree;
    tree.setModel(&proxy);
    tree.setSelectionMode(QAbstractItemView::ExtendedSelection);
    for (int column = 0; column < LayerTreeModel::ColumnCount; ++column) {
        tree.setColumnHidden(column, column != LayerTreeModel::NameColumn &&
                                         column != LayerTreeModel::OutputErrorColumn &&
                                         column != LayerTreeModel::ShapeColumn);
    }
    QCOMPARE(qw::tableText(tree).count(u'\n'), 7); // titles, two blocks, four layers
    const QString title = u"Layer\tOutput error\tShape\n"_s;
    for (const char* layer : {"model.layers.1.mlp.up_proj", "model.layers.0.mlp.up_proj"}) {
        tree.selectionModel()->select(
            proxy.mapFromSource(model.indexOf(QString::fromLatin1(layer))),
            QItemSelectionModel::Select | QItemSelectionModel::Rows);
    }
    qw::enableCopy(tree);
    tree.findChild<QAction*>(u"copyRowsAction"_s)->trigger();
    QCOMPARE(QGuiApplication::clipboard()->text(), // in the order shown, by their whole names
             title + u"model.layers.0.mlp.up_proj\t\u2013\t8 \u00d7 32\n"_s +
                 u"model.layers.1.mlp.up_proj\t20.0 %\t8 \u00d7 32\n"_s);
}

void TstLayerTreeModel::worseIsHotter()
{
    LayerTreeModel model;
    model.setLayers(twoBlocks());
    model.setResults({result("model.layers.0.self_attn.q_proj", 0.01),
                      result("model.layers.0.mlp.up_proj", 0.02),
                      result("model.layers.1.mlp.up_proj", 0.2)});
    const auto tint = [&](const char* name) {
        return model.indexOf(QString::fromLatin1(name), LayerTreeModel::OutputErrorColumn)
            .data(Qt::BackgroundRole)
            .value<QColor>()
            .alpha();
    };
    QCOMPARE_LT(tint("model.layers.0.self_attn.q_proj"), tint("model.layers.0.mlp.up_proj"));
    QCOMPARE_LT(tint("model.layers.0.mlp.up_proj"), tint("model.layers.1.mlp.up_proj"));
}

void TstLayerTreeModel::plansShowAndAskForEdits()
{
    LayerTreeModel model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setLayers(twoBlocks());
    const QModelIndex bits =
        model.indexOf(u"model.layers.0.mlp.up_proj"_s, LayerTreeModel::PlanBitsColumn);
    QVERIFY(!model.flags(bits).testFlag(Qt::ItemIsEditable)); // nothing to edit yet
    std::vector<qw::LayerPlanRow> plans(4, {.bits = 4, .rank = 32});
    plans[1] = {.bits = 8, .rank = 0, .skip = false, .ownBits = true, .ownRank = true};
    model.setPlans(plans);
    QVERIFY(model.flags(bits).testFlag(Qt::ItemIsEditable));
    QCOMPARE(bits.data().toString(), u"8"_s);
    QVERIFY(bits.data(Qt::FontRole).value<QFont>().bold());
    QSignalSpy edited(&model, &LayerTreeModel::planEdited);
    QVERIFY(model.setData(bits, 3, Qt::EditRole));
    QCOMPARE(edited.size(), 1);
    QCOMPARE(bits.data().toString(), u"8"_s); // until the owner answers
    QVERIFY(!model.setData(model.indexOf(u"model.layers.0.mlp.up_proj"_s), 3, Qt::EditRole));
    // A rank that is learned is no layer's own, and where there is none there is nothing to edit.
    const QModelIndex rank = bits.siblingAtColumn(LayerTreeModel::PlanRankColumn);
    QVERIFY(model.flags(rank).testFlag(Qt::ItemIsEditable));
    plans[1].rank = 51;
    plans[1].rankLearned = true;
    model.setPlans(plans);
    QCOMPARE(rank.data().toString(), u"51"_s);
    QVERIFY(!model.flags(rank).testFlag(Qt::ItemIsEditable));
    QVERIFY(!model.setData(rank, 3, Qt::EditRole));
    plans[1].rankFull = true;
    model.setPlans(plans);
    QCOMPARE(rank.data().toString(), u"full"_s);
    plans[1].hasRank = plans[1].rankFull = false;
    model.setPlans(plans);
    QCOMPARE(rank.data().toString(), u"\u2013"_s);
    QVERIFY(!model.flags(rank).testFlag(Qt::ItemIsEditable));
}

QTEST_MAIN(TstLayerTreeModel)
#include "tst_layer_tree_model.moc"
