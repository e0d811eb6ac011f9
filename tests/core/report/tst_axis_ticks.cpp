#include "report/axis_ticks.h"
#include "report/colour_map.h"

#include <QtTest>

#include <cmath>

using namespace qw;

class TestAxisTicks : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void labels_data();
    void labels();
    void linear_data();
    void linear();
    void logarithmic_data();
    void logarithmic();
    void minorMarksOfDecades();
    void colours();
};

namespace {
QStringList labelsOf(const AxisTicks& ticks)
{
    QStringList result;
    for (const PlotTick& tick : ticks.major) {
        result << QString::fromStdString(tick.label);
    }
    return result;
}
} // namespace

void TestAxisTicks::labels_data()
{
    QTest::addColumn<double>("value");
    QTest::addColumn<double>("step");
    QTest::addColumn<QString>("label");
    QTest::newRow("zero") << 1e-17 << 0.1 << "0";
    QTest::newRow("decimals of the step") << 0.5 << 0.05 << "0.50";
    QTest::newRow("whole") << 200.0 << 50.0 << "200";
    QTest::newRow("negative") << -3.0 << 1.0 << "−3";
    QTest::newRow("tiny") << 2e-7 << 1e-7 << "2·10⁻⁷";
    QTest::newRow("tiny power") << 1e-7 << 1e-7 << "10⁻⁷";
    QTest::newRow("large") << 1.5e7 << 5e6 << "1.5·10⁷";
}

void TestAxisTicks::labels()
{
    QFETCH(double, value);
    QFETCH(double, step);
    QFETCH(QString, label);
    QCOMPARE(QString::fromStdString(tickLabel(value, step)), label);
}

void TestAxisTicks::linear_data()
{
    QTest::addColumn<double>("low");
    QTest::addColumn<double>("high");
    QTest::addColumn<int>("wanted");
    QTest::addColumn<QStringList>("labels");
    QTest::newRow("ones") << 0.0 << 4.0 << 4 << QStringList{"0", "1", "2", "3", "4"};
    QTest::newRow("ends inside") << 0.3 << 4.7 << 4 << QStringList{"2", "4"};
    QTest::newRow("fives") << 0.0 << 20.0 << 4 << QStringList{"0", "5", "10", "15", "20"};
    QTest::newRow("around zero") << -0.1 << 0.1 << 4
                                 << QStringList{"−0.10", "−0.05", "0", "0.05", "0.10"};
    QTest::newRow("far from zero") << 100.62 << 100.84 << 4 << QStringList{"100.7", "100.8"};
}

void TestAxisTicks::linear()
{
    QFETCH(double, low);
    QFETCH(double, high);
    QFETCH(int, wanted);
    QFETCH(QStringList, labels);
    const AxisTicks ticks = linearTicks(low, high, wanted);
    QCOMPARE(labelsOf(ticks), labels);
    for (const PlotTick& tick : ticks.major) {
        QVERIFY(tick.position > low - 1e-9 && tick.position < high + 1e-9);
    }
}

void TestAxisTicks::logarithmic_data()
{
    QTest::addColumn<double>("low");
    QTest::addColumn<double>("high");
    QTest::addColumn<int>("wanted");
    QTest::addColumn<QStringList>("labels");
    QTest::newRow("powers") << 0.005 << 200.0 << 6
                            << QStringList{"10⁻²", "10⁻¹", "10⁰", "10¹", "10²"};
    QTest::newRow("every other power")
        << 1.0 << 1e6 << 4 << QStringList{"10⁰", "10²", "10⁴", "10⁶"};
    QTest::newRow("one power: in between")
        << 15.0 << 600.0 << 5 << QStringList{"2·10¹", "5·10¹", "10²", "2·10²", "5·10²"};
    QTest::newRow("hardly a range: as numbers")
        << 11.0 << 14.0 << 4 << QStringList{"11", "12", "13", "14"};
}

void TestAxisTicks::logarithmic()
{
    QFETCH(double, low);
    QFETCH(double, high);
    QFETCH(int, wanted);
    QFETCH(QStringList, labels);
    QCOMPARE(labelsOf(logTicks(low, high, wanted)), labels);
}

void TestAxisTicks::minorMarksOfDecades()
{
    const AxisTicks ticks = logTicks(5, 200, 6);
    QCOMPARE(labelsOf(ticks), QStringList({"10¹", "10²"}));
    QCOMPARE(ticks.minor.size(), 5U + 8U + 1U); // 5..9, 20..90, 200
}

void TestAxisTicks::colours()
{
    QCOMPARE(sequentialColour(0), 0x440154U);
    QCOMPARE(sequentialColour(1), 0xFDE725U);
    QCOMPARE(sequentialColour(7), 0xFDE725U);
    QCOMPARE(divergingColour(0), 0xF7F7F7U);
    QVERIFY(divergingColour(-1) != divergingColour(1));
    QVERIFY(sequentialColour(qQNaN()) != sequentialColour(0));
    QVERIFY(wantsDarkText(sequentialColour(1)) && !wantsDarkText(sequentialColour(0)));
}

QTEST_GUILESS_MAIN(TestAxisTicks)
#include "tst_axis_ticks.moc"
