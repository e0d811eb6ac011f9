#include <QTest>

#include "report/label_places.h"

using qw::Box;
using qw::LabelPlace;
using qw::placeBeside;
using qw::PointText;

namespace {
constexpr double kMarker = 4;
const Box kArea{0, 0, 200, 100};
} // namespace

class TstLabelPlaces : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void standsToTheRightFirst();
    void avoidsEdgesAndObstacles();
    void neverOverlaps();
    void isLeftOutWhereNothingIsFree();
};

void TstLabelPlaces::standsToTheRightFirst()
{
    const auto places = placeBeside({{50, 50, 40, 10}}, kMarker, {}, kArea);
    QVERIFY(places[0].has_value());
    QCOMPARE(places[0]->side, LabelPlace::Side::Right);
    QVERIFY(places[0]->box.left > 50 + kMarker);
    QCOMPARE((places[0]->box.top + places[0]->box.bottom) / 2, 50.0);
}

void TstLabelPlaces::avoidsEdgesAndObstacles()
{
    const std::vector<PointText> atTheEdge = {{190, 50, 40, 10}};
    QCOMPARE(placeBeside(atTheEdge, kMarker, {}, kArea)[0]->side, LabelPlace::Side::Left);
    const Box beside{100, 44, 185, 56};
    const auto above =
        placeBeside({{175, 50, 40, 10}}, kMarker, {beside, {178, 44, 200, 56}}, kArea);
    QVERIFY(above[0].has_value());
    QCOMPARE(above[0]->side, LabelPlace::Side::Middle);
    QVERIFY(above[0]->box.bottom < 50 - kMarker);
}

void TstLabelPlaces::neverOverlaps()
{
    std::vector<PointText> texts;
    for (int i = 0; i < 40; ++i) {
        texts.push_back({(i * 37) % 200 + 0.5, (i * 53) % 100 + 0.5, 30, 10});
    }
    const auto places = placeBeside(texts, kMarker, {}, kArea);
    std::size_t placed = 0;
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (!places[i]) {
            continue;
        }
        ++placed;
        QVERIFY(kArea.contains(places[i]->box));
        for (std::size_t j = 0; j < texts.size(); ++j) {
            const Box marker{texts[j].x - kMarker, texts[j].y - kMarker, texts[j].x + kMarker,
                             texts[j].y + kMarker};
            QVERIFY(!places[i]->box.overlaps(marker));
            QVERIFY(i == j || !places[j] || !places[i]->box.overlaps(places[j]->box));
        }
    }
    QVERIFY2(placed > 3, std::to_string(placed).c_str());
}

void TstLabelPlaces::isLeftOutWhereNothingIsFree()
{
    QVERIFY(!placeBeside({{100, 50, 300, 10}}, kMarker, {}, kArea)[0]);
    QVERIFY(!placeBeside({{100, 50, 40, 10}}, kMarker, {kArea}, kArea)[0]);
}

QTEST_APPLESS_MAIN(TstLabelPlaces)
#include "tst_label_places.moc"
