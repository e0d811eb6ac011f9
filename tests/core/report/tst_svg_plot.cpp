#include "report/svg_canvas.h"
#include "report/svg_labels.h"
#include "report/svg_plot.h"

#include <QRectF>
#include <QXmlStreamReader>
#include <QtTest>

#include <cmath>

using namespace qw;

namespace {
/// Writing in a picture and about where it stands.
struct Writing {
    QString text;
    QRectF box;
};

struct Picture {
    QString problem; ///< of the XML, or empty
    QRectF frame;
    QVector<Writing> writings;
    QStringList titles;
    QStringList paths;
    QVector<QRectF> rectangles;
};

Picture parsed(const std::string& svg)
{
    Picture picture;
    QXmlStreamReader xml(QByteArray::fromStdString(svg));
    while (!xml.atEnd()) {
        if (xml.readNext() != QXmlStreamReader::StartElement) {
            continue;
        }
        const auto attributes = xml.attributes();
        const auto number = [&](const char* name) {
            return attributes.value(QLatin1String(name)).toDouble();
        };
        if (xml.name() == QLatin1String("svg")) {
            picture.frame = QRectF(0, 0, number("width"), number("height"));
        } else if (xml.name() == QLatin1String("path")) {
            picture.paths << attributes.value(QLatin1String("d")).toString();
        } else if (xml.name() == QLatin1String("rect")) {
            picture.rectangles << QRectF(number("x"), number("y"), number("width"),
                                         number("height"));
        } else if (xml.name() == QLatin1String("title")) {
            picture.titles << xml.readElementText();
        } else if (xml.name() == QLatin1String("text")) {
            const double size = number("font-size");
            const QString anchor = attributes.value(QLatin1String("text-anchor")).toString();
            const double x = number("x");
            const double y = number("y");
            const QString text = xml.readElementText();
            const double width = textWidth(text.toStdString(), size);
            const double left = anchor == "middle" ? x - width / 2
                                : anchor == "end"  ? x - width
                                                   : x;
            picture.writings << Writing{text, QRectF(left, y - size * 0.75, width, size * 0.9)};
        }
    }
    picture.problem = xml.hasError() ? xml.errorString() : QString();
    return picture;
}

/// Names what overlaps or leaves the picture; empty if all is well.
QString crowding(const Picture& picture)
{
    for (int i = 0; i < picture.writings.size(); ++i) {
        const Writing& one = picture.writings[i];
        if (!picture.frame.contains(one.box)) {
            return "outside: " + one.text;
        }
        for (int j = 0; j < i; ++j) {
            if (one.box.intersects(picture.writings[j].box)) {
                return "overlap: " + one.text + " | " + picture.writings[j].text;
            }
        }
    }
    return {};
}

bool shows(const Picture& picture, const QString& text)
{
    return std::any_of(picture.writings.begin(), picture.writings.end(),
                       [&](const Writing& writing) { return writing.text == text; });
}

PlotData lines(int count, const std::string& suffix = {})
{
    const char* methods[] = {"rtn", "lqer", "l2qer", "qera-approx", "qera-exact", "unknown"};
    PlotData plot;
    plot.title = "perplexity over rank";
    plot.xLabel = "rank of the correction";
    plot.yLabel = "perplexity";
    for (int s = 0; s < count; ++s) {
        Series series;
        series.method = methods[s % 6];
        series.name = "series " + std::to_string(s) + suffix;
        series.variant = s / 6;
        for (int i = 0; i < 5; ++i) {
            series.x.push_back(i * 8);
            series.y.push_back(12 + 0.01 * s - 0.1 * i);
            series.yError.push_back(0.05);
        }
        plot.series.push_back(series);
    }
    plot.references = {{"full precision", 11.5}};
    return plot;
}

PlotData bars(int count)
{
    PlotData plot;
    plot.title = "Layers";
    plot.yLabel = "output error, %";
    plot.xLabel = "block";
    Series series;
    series.name = "RTN W3 g128";
    series.method = "rtn";
    series.draw = Series::Draw::Bars;
    for (int i = 0; i < count; ++i) {
        series.x.push_back(i);
        series.y.push_back(1 + i % 7);
        if (i % 7 == 0) {
            plot.xTicks.push_back({double(i), std::to_string(i / 7)});
        }
    }
    plot.series = {series};
    return plot;
}

PlotData scatter(int count)
{
    PlotData plot = lines(3);
    plot.labelPoints = true;
    for (Series& series : plot.series) {
        series.draw = Series::Draw::Points;
        series.x.clear();
        series.y.clear();
        series.yError.clear();
        for (int i = 0; i < count; ++i) {
            series.x.push_back(2 + 0.05 * i);
            series.y.push_back(12 + std::sin(i));
            series.labels.push_back(series.name + " W3 g128 r" + std::to_string(i));
        }
    }
    return plot;
}

Heatmap map(int rows, int cols, bool diverging)
{
    Heatmap heatmap;
    heatmap.title = "output error, %";
    heatmap.xLabel = "kind of layer";
    heatmap.yLabel = "block";
    heatmap.valueLabel = "output error, %";
    heatmap.rows = rows;
    heatmap.cols = cols;
    heatmap.diverging = diverging;
    for (int i = 0; i < rows * cols; ++i) {
        heatmap.values.push_back(i == 1 ? qQNaN() : std::sin(i) + (diverging ? 0 : 2));
    }
    return heatmap;
}

ParallelPlot parallel(int axes)
{
    ParallelPlot plot;
    plot.title = "Settings and qualities";
    plot.lines = {{"RTN", "rtn", "a", {}}, {"LQER", "lqer", "b", {}}};
    for (int i = 0; i < axes; ++i) {
        plot.axes.push_back({"KL divergence, nats per token", 0.001, 0.5, i % 2 == 1, {}});
        plot.lines[0].values.push_back(0.002 + 0.01 * i);
        plot.lines[1].values.push_back(i == 1 ? qQNaN() : 0.4);
    }
    plot.axes.push_back({"method", 0, 1, false, {{0, "RTN"}, {1, "LQER"}}});
    plot.lines[0].values.push_back(0);
    plot.lines[1].values.push_back(1);
    return plot;
}
} // namespace

class TestSvgPlot : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void pictures_data();
    void pictures();
    void hostileTextIsOnlyText_data();
    void hostileTextIsOnlyText();
    void brokenUtf8();
    void fewSeriesAreNamedAtTheirEnds();
    void missingValuesLeaveGaps();
    void aFrontOfOnePointIsSeen();
    void barsAreProportional();
    void higherValuesStandHigher();
    void logarithmicPowers();
    void emptyPlotsSayWhatFillsThem();
    void coloursOfMethods();
    void spreadKeepsDistance();
    void elision();
};

void TestSvgPlot::pictures_data()
{
    QTest::addColumn<QString>("svg");
    const auto row = [](const char* name, const std::string& svg) {
        QTest::newRow(name) << QString::fromStdString(svg);
    };
    PlotData apart = lines(2);
    apart.apart = "they were evaluated on different texts, which makes this sentence long enough "
                  "to need more than one line in a picture of this width, and then some";
    PlotData constant = lines(1);
    constant.series[0].y.assign(5, 12);
    constant.references.clear();
    PlotData onePoint = scatter(1);
    PlotData logs = lines(3);
    logs.logX = logs.logY = true;
    logs.series[0].y = {5000, 300, 40, 12, 0};
    PlotData named = bars(6);
    named.xTicks.clear();
    for (int i = 0; i < 6; ++i) {
        named.xTicks.push_back({double(i), "a_rather_long_name_of_a_layer_" + std::to_string(i)});
    }
    PlotData nothing = lines(0);
    nothing.references.clear();
    row("no series", toSvg(nothing));
    row("one line", toSvg(lines(1)));
    row("direct labels", toSvg(lines(4)));
    row("direct labels at one height", toSvg([] {
            PlotData plot = lines(4);
            for (Series& series : plot.series) {
                series.y.assign(5, 11.5);
            }
            return plot;
        }()));
    row("legend", toSvg(lines(11)));
    row("long names", toSvg(lines(4, std::string(200, 'w'))));
    row("more names than rows", toSvg(lines(80, " with a rather long name")));
    row("apart", toSvg(apart));
    row("constant", toSvg(constant));
    row("logarithmic", toSvg(logs));
    row("bars", toSvg(bars(28)));
    row("500 layers", toSvg(bars(500)));
    row("long tick names", toSvg(named));
    row("one point", toSvg(onePoint));
    row("labelled points", toSvg(scatter(5)));
    row("crowded points", toSvg(scatter(60)));
    row("narrow", toSvg(lines(3), {320, 240}));
    row("map", toSvg(map(4, 7, false)));
    row("signed map", toSvg(map(40, 60, true)));
    row("large map", toSvg(map(300, 500, true)));
    row("parallel", toSvg(parallel(3)));
    row("many axes", toSvg(parallel(9), {960, 400}));
}

void TestSvgPlot::pictures()
{
    QFETCH(QString, svg);
    const Picture picture = parsed(svg.toStdString());
    QCOMPARE(picture.problem, QString());
    QCOMPARE(crowding(picture), QString());
    QVERIFY(!svg.contains("nan") && !svg.contains("inf"));
}

void TestSvgPlot::hostileTextIsOnlyText_data()
{
    QTest::addColumn<QString>("text");
    QTest::newRow("markup") << "</text><script>x</script>";
    QTest::newRow("quotes") << "a\" onload=\"x' y";
    QTest::newRow("entity") << "&lt;&amp;";
    QTest::newRow("other scripts") << "слой 层 ∂";
}

void TestSvgPlot::hostileTextIsOnlyText()
{
    QFETCH(QString, text);
    const std::string hostile = text.toStdString();
    PlotData plot = scatter(1);
    plot.title = plot.xLabel = plot.yLabel = hostile;
    plot.series[0].name = plot.series[0].method = plot.series[0].labels[0] = hostile;
    plot.references[0].name = hostile;
    plot.xTicks = {{2, hostile}};
    const Picture picture = parsed(toSvg(plot));
    QCOMPARE(picture.problem, QString());
    QVERIFY(shows(picture, text));
    QCOMPARE(picture.titles.first(), text);
    QVERIFY(!QString::fromStdString(toSvg(plot)).contains("<script"));
    Heatmap heatmap = map(1, 2, false);
    heatmap.title = heatmap.valueLabel = hostile;
    heatmap.rowNames = {hostile};
    heatmap.columnNames = {hostile, hostile};
    QCOMPARE(parsed(toSvg(heatmap)).problem, QString());
    QVERIFY(shows(parsed(toSvg(heatmap)), text));
    ParallelPlot axes = parallel(1);
    axes.title = axes.axes[0].label = axes.axes[1].ticks[0].label = axes.lines[0].name = hostile;
    QCOMPARE(parsed(toSvg(axes)).titles.at(1), text);
}

void TestSvgPlot::brokenUtf8()
{
    QCOMPARE(QString::fromStdString(escapeMarkup("a\x01z\xFFz\xC3")),
             QString("a\uFFFDz\uFFFDz\uFFFD"));
    QCOMPARE(QString::fromStdString(escapeMarkup("\xED\xA0\x80")), QString(3, QChar(0xFFFD)));
    QCOMPARE(QString::fromStdString(escapeMarkup("é層\t𝔸")), QString("é層\t𝔸"));
    PlotData plot = lines(1);
    plot.title = std::string("\0\xF0\x9F", 3);
    QCOMPARE(parsed(toSvg(plot)).problem, QString());
}

void TestSvgPlot::fewSeriesAreNamedAtTheirEnds()
{
    const Picture direct = parsed(toSvg(lines(4)));
    const Picture legend = parsed(toSvg(lines(5)));
    const auto leftOf = [](const Picture& picture, const QString& text) {
        for (const Writing& writing : picture.writings) {
            if (writing.text == text) {
                return writing.box.left();
            }
        }
        return -1.0;
    };
    QVERIFY(leftOf(direct, "series 0") > 400);
    QVERIFY(leftOf(legend, "series 0") > 0 && leftOf(legend, "series 0") < 100);
    QVERIFY(shows(direct, "full precision") && shows(legend, "full precision"));
}

void TestSvgPlot::missingValuesLeaveGaps()
{
    PlotData plot = lines(1);
    plot.series[0].draw = Series::Draw::Line;
    plot.series[0].method.clear(); // without markers
    const auto starts = [](const PlotData& of) {
        int most = 0;
        for (const QString& path : parsed(toSvg(of)).paths) {
            most = std::max(most, int(path.count('M')));
        }
        return most;
    };
    QCOMPARE(starts(plot), 1);
    plot.series[0].y[2] = qQNaN();
    QCOMPARE(starts(plot), 2);
}

void TestSvgPlot::aFrontOfOnePointIsSeen()
{
    PlotData plot = lines(1);
    plot.series[0].draw = Series::Draw::Steps;
    plot.series[0].x = {8};
    plot.series[0].y = {12};
    plot.series[0].yError.clear();
    plot.series[0].labels.clear();
    plot.series[0].keys.clear();
    const QRegularExpression level(QStringLiteral("^M(\\S+) (\\S+)L(\\S+) \\2$"));
    const QStringList paths = parsed(toSvg(plot)).paths;
    QVERIFY2(std::any_of(paths.begin(), paths.end(),
                         [&](const QString& path) {
                             const auto found = level.match(path);
                             const double from = found.captured(1).toDouble();
                             return from > 150 && found.captured(3).toDouble() > from + 100;
                         }),
             qPrintable(paths.join(u'\n')));
}

void TestSvgPlot::barsAreProportional()
{
    PlotData plot = bars(3); // 1, 2, 3
    SvgOptions options;
    options.standalone = false;
    const auto rectangles = parsed(toSvg(plot, options)).rectangles;
    QCOMPARE(rectangles.size(), 3);
    QVERIFY(std::abs(rectangles[1].height() - 2 * rectangles[0].height()) < 0.05);
    QVERIFY(std::abs(rectangles[2].height() - 3 * rectangles[0].height()) < 0.05);
    QVERIFY(std::abs(rectangles[0].bottom() - rectangles[2].bottom()) < 0.05);
}

void TestSvgPlot::higherValuesStandHigher()
{
    PlotData plot = lines(1);
    plot.series[0].draw = Series::Draw::Line;
    plot.series[0].method.clear(); // without markers
    plot.series[0].x = {0, 1, 2};
    plot.series[0].y = {10, 20, 40};
    plot.series[0].yError.clear();
    plot.references.clear();
    for (const bool log : {false, true}) {
        plot.logY = log;
        QStringList points;
        for (const QString& path : parsed(toSvg(plot)).paths) {
            if (path.count('L') == 2) {
                points = path.mid(1).split('L');
            }
        }
        QCOMPARE(points.size(), 3);
        const auto y = [&](int i) { return points[i].split(' ').at(1).toDouble(); };
        const double ratio = (y(1) - y(2)) / (y(0) - y(1));
        QVERIFY2(std::abs(ratio - (log ? 1 : 2)) < 0.01, qPrintable(QString::number(ratio)));
    }
}

void TestSvgPlot::logarithmicPowers()
{
    PlotData plot = lines(1);
    plot.logY = true;
    plot.references.clear();
    plot.series[0].y = {0.02, 0.5, 3, 70, 2000};
    const Picture picture = parsed(toSvg(plot));
    for (const char* power : {"10⁻¹", "10⁰", "10¹", "10²", "10³"}) {
        QVERIFY2(shows(picture, power), power);
    }
}

void TestSvgPlot::emptyPlotsSayWhatFillsThem()
{
    PlotData plot = lines(0);
    plot.empty = "Select a run.";
    QVERIFY(shows(parsed(toSvg(plot)), "Select a run."));
    Heatmap heatmap;
    heatmap.empty = "Select a layer.";
    QVERIFY(shows(parsed(toSvg(heatmap)), "Select a layer."));
    ParallelPlot axes;
    axes.empty = "Select two runs.";
    QVERIFY(shows(parsed(toSvg(axes)), "Select two runs."));
}

void TestSvgPlot::coloursOfMethods()
{
    const QString svg = QString::fromStdString(toSvg(lines(3)));
    QVERIFY(svg.contains("stroke=\"#0072b2\" class=\"qw-s-l2qer\""));
    QVERIFY(svg.contains("--qw-l2qer:#0072b2;"));
    QVERIFY(svg.contains("prefers-color-scheme:dark"));
    SvgOptions inPage;
    inPage.standalone = false;
    QVERIFY(!QString::fromStdString(toSvg(lines(3), inPage)).contains("<style"));
}

void TestSvgPlot::spreadKeepsDistance()
{
    const auto placed = svg::spread({50, 50, 10, 99}, 15, 0, 100);
    QCOMPARE(placed.at(2), 10.0);
    QCOMPARE(placed.at(0), 50.0);
    QCOMPARE(placed.at(1), 65.0);
    QCOMPARE(placed.at(3), 99.0);
    const auto tight = svg::spread({98, 99, 100}, 15, 0, 100);
    QVERIFY(tight == std::vector<double>({70, 85, 100}));
}

void TestSvgPlot::elision()
{
    QCOMPARE(elided("short", 100, 12), std::string("short"));
    const std::string shorter = elided("model.layers.12.self_attn.q_proj", 80, 12);
    QVERIFY(textWidth(shorter, 12) <= 80);
    QVERIFY(shorter.starts_with("model") && shorter.ends_with("proj"));
    QVERIFY(shorter.find("…") != std::string::npos);
}

QTEST_GUILESS_MAIN(TestSvgPlot)
#include "tst_svg_plot.moc"
