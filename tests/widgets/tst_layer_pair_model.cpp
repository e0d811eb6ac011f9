#include <QAbstractItemModelTester>
#include <QColor>
#include <QTest>

#include "widgets/layer_pair_model.h"
#include "widgets/number_sort_proxy.h"
#include "widgets/theme.h"

using namespace Qt::Literals::StringLiterals;
using Model = qw::LayerPairModel;

namespace {
std::vector<qw::LayerDifference> threeLayers()
{
    return {{"l0", 8, 4, 2.5, 2.0, -0.5}, {"l1", 8, 8, 1.25, 3.25, 2}, {"l2", 4, 4, 7}};
}
} // namespace

class TstLayerPairModel : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void showsBothAndTheDifference();
    void differencesAreColouredAroundZero();
    void sorts();
};

void TstLayerPairModel::showsBothAndTheDifference()
{
    Model model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setLayers(threeLayers(), qw::LayerMetric::OutputError);
    const auto printed = [&](int row) {
        QStringList cells;
        for (int column = 0; column < Model::ColumnCount; ++column) {
            cells << model.index(row, column).data().toString();
        }
        return cells.join(u" | "_s);
    };
    QCOMPARE(printed(0), u"l0 | 8 × 4 | 2.50 | 2.00 | -0.500"_s);
    QCOMPARE(printed(1), u"l1 | 8 × 8 | 1.25 | 3.25 | +2.00"_s);
    QCOMPARE(printed(2), u"l2 | 4 × 4 | 7.00 | – | –"_s);
    QCOMPARE(model.headerData(Model::AColumn, Qt::Horizontal, Qt::ToolTipRole).toString(),
             u"output error, %"_s);
}

void TstLayerPairModel::differencesAreColouredAroundZero()
{
    Model model;
    model.setLayers(threeLayers(), qw::LayerMetric::OutputError);
    const auto color = [&](int row, int role) {
        return model.index(row, Model::DifferenceColumn).data(role).value<QColor>();
    };
    QCOMPARE(color(1, Qt::BackgroundRole), qw::theme::diverging(1)); // the largest
    QCOMPARE(color(0, Qt::BackgroundRole), qw::theme::diverging(-0.25));
    for (const int row : {0, 1}) {
        QVERIFY(qw::theme::contrast(color(row, Qt::BackgroundRole),
                                    color(row, Qt::ForegroundRole)) >= 4.5);
    }
    QVERIFY(!model.index(2, Model::DifferenceColumn).data(Qt::BackgroundRole).isValid());
    QVERIFY(!model.index(1, Model::AColumn).data(Qt::BackgroundRole).isValid());
}

void TstLayerPairModel::sorts()
{
    Model model;
    model.setLayers(threeLayers(), qw::LayerMetric::OutputError);
    qw::NumberSortProxy proxy(Model::SortRole);
    proxy.setSourceModel(&model);
    const auto order = [&] {
        QString names;
        for (int row = 0; row < proxy.rowCount(); ++row) {
            names += proxy.index(row, 0).data().toString();
        }
        return names;
    };
    proxy.sort(Model::DifferenceColumn, Qt::DescendingOrder);
    QCOMPARE(order(), u"l1l0l2"_s);
    proxy.sort(Model::DifferenceColumn, Qt::AscendingOrder);
    QCOMPARE(order(), u"l0l1l2"_s);
    proxy.sort(Model::LayerColumn, Qt::DescendingOrder);
    QCOMPARE(order(), u"l2l1l0"_s);
}

QTEST_MAIN(TstLayerPairModel)
#include "tst_layer_pair_model.moc"
