#include "base/error.h"
#include "report/html_report.h"
#include "report/spec_command.h"
#include "support/base_results.h"

#include <QRegularExpression>
#include <QXmlStreamReader>
#include <QtTest>

using namespace qw;
using test::sampleResult;

namespace {
/// What a reader sees.
struct Page {
    QString problem; ///< of the XML, or empty
    QVector<QVector<QStringList>> tables;
    QStringList texts; ///< of paragraphs, code and headings
    QStringList anchors;
    QStringList links;
    int pictures = 0;
};

Page parsed(const std::string& html)
{
    Page page;
    QXmlStreamReader xml(QByteArray::fromStdString(html));
    while (!xml.atEnd()) {
        if (xml.readNext() != QXmlStreamReader::StartElement) {
            continue;
        }
        const QString name = xml.name().toString();
        const auto attributes = xml.attributes();
        if (attributes.hasAttribute("id")) {
            page.anchors << attributes.value("id").toString();
        }
        if (name == "table") {
            page.tables.append(QVector<QStringList>());
        } else if (name == "tr") {
            page.tables.last().append(QStringList());
        } else if (name == "th") {
            page.tables.last().last() << xml.readElementText();
        } else if (name == "td") {
            QString cell;
            while (xml.readNext() != QXmlStreamReader::EndElement || xml.name() != u"td") {
                if (xml.isStartElement() && xml.name() == u"a") {
                    page.links << xml.attributes().value("href").toString();
                } else if (xml.isCharacters()) {
                    cell += xml.text();
                }
                if (xml.hasError()) {
                    break;
                }
            }
            page.tables.last().last() << cell;
        } else if (name == "p" || name == "pre" || name == "h1" || name == "h2" || name == "h3") {
            page.texts << xml.readElementText();
        } else if (name == "svg") {
            ++page.pictures;
        }
    }
    page.problem = xml.hasError() ? xml.errorString() : QString();
    return page;
}

std::string htmlOf(const std::vector<ReportEntry>& entries, const std::string& title = {})
{
    return toHtml(reportOf(entries, title));
}

ReportEntry entry(const std::string& id)
{
    return {sampleResult(id), {}, {}};
}

bool says(const Page& page, const QString& part)
{
    return std::any_of(page.texts.begin(), page.texts.end(),
                       [&](const QString& text) { return text.contains(part); });
}
} // namespace

class TestHtmlReport : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void headline();
    void missingNumbersAreDashes();
    void incomparableRunsStandApart();
    void unfinishedRunsSayWhy();
    void onlyWhatDiffers();
    void manyRunsAreRows();
    void layersProvenanceAndRepetition();
    void hostileTextIsOnlyText();
    void refersToNothingOutside();
    void sameRunsSameReport();
    void linksLeadSomewhere();
    void needsRuns();
};

void TestHtmlReport::headline()
{
    const Page page = parsed(htmlOf({entry("run1")}));
    QCOMPARE(page.problem, QString());
    QCOMPARE(page.texts.first(), QString("L²QER W3 g128 r8"));
    const auto& table = page.tables.at(0);
    QCOMPARE(table.size(), 2);
    QCOMPARE(table[1],
             QStringList({"run1", "L²QER", "int3 g128", "8", "3.10", "0.01", "12.180 ± 0.122",
                          "0.1000 ± 0.0020", "0.0300", "93.0 %", "4.2 s", "1.05 MB"}));
    QCOMPARE(table[0].size(), table[1].size());
    QVERIFY(says(page, "gptq protocol on 7 windows of 512 tokens (3577 scored predictions)"));
    QVERIFY(says(page, "perplexity 11.020"));
}

void TestHtmlReport::missingNumbersAreDashes()
{
    ReportEntry blank;
    blank.run.id = "blank";
    blank.run.status = "finished";
    blank.run.score.nll = 2;
    LayerResult layer;
    layer.name = "a.q_proj";
    blank.run.layers = {layer};
    const std::string html = htmlOf({blank, entry("other")});
    const Page page = parsed(html);
    QCOMPARE(page.problem, QString());
    const QRegularExpression bad("\\b(nan|inf)\\b", QRegularExpression::CaseInsensitiveOption);
    QVERIFY(!QString::fromStdString(html).contains(bad));
    QCOMPARE(page.tables.at(0).at(1).mid(4, 6), QStringList({"–", "–", "–", "–", "–", "–"}));
}

void TestHtmlReport::incomparableRunsStandApart()
{
    ReportEntry text = entry("text");
    text.run.score.textHash = "another";
    ReportEntry model = entry("model");
    model.run.provenance.modelHash = "another";
    const Page page = parsed(htmlOf({entry("a"), text, entry("b"), model}));
    const auto ids = [&](int table) {
        QStringList result;
        for (const QStringList& row : page.tables.at(table).mid(1)) {
            result << row.first();
        }
        return result;
    };
    QCOMPARE(ids(0), QStringList({"a", "b"}));
    QCOMPARE(ids(1), QStringList({"text"}));
    QCOMPARE(ids(2), QStringList({"model"}));
    QVERIFY(says(page, "Not to be compared with the first table: they were evaluated on different "
                       "texts."));
    QVERIFY(says(page, "they are of different models"));
}

void TestHtmlReport::unfinishedRunsSayWhy()
{
    ReportEntry failed = entry("failed");
    failed.run.status = "failed";
    failed.run.problem = "the disk is full";
    const Page page = parsed(htmlOf({entry("a"), failed}));
    QCOMPARE(page.tables.at(0).size(), 2);
    QCOMPARE(page.tables.at(1).at(1),
             QStringList({"failed", "L²QER", "int3 g128", "run failed is failed"}));
    QVERIFY(says(page, "This run is failed: the disk is full"));
}

void TestHtmlReport::onlyWhatDiffers()
{
    ReportEntry other = entry("b");
    other.run.spec.weight.bits = 2;
    const Page page = parsed(htmlOf({entry("a"), other}));
    QVERIFY(page.tables.at(1) ==
            QVector<QStringList>({{"setting", "a", "b"}, {"weight.bits", "3", "2"}}));
    QVERIFY(says(parsed(htmlOf({entry("a"), entry("b")})), "same settings and provenance"));
}

void TestHtmlReport::manyRunsAreRows()
{
    std::vector<ReportEntry> entries;
    for (int i = 0; i < 9; ++i) {
        entries.push_back(entry("run" + std::to_string(i)));
        entries.back().run.spec.lowRank.rank = entries.back().run.rank = i;
        entries.back().run.score.perplexity = 13 - 0.1 * i;
        entries.back().run.comparison.klMean = 0.05 - 0.001 * i;
    }
    const Page page = parsed(htmlOf(entries));
    QCOMPARE(page.problem, QString());
    QCOMPARE(page.tables.at(1).first(), QStringList({"run", "low_rank.rank"}));
    QCOMPARE(page.tables.at(1).at(9), QStringList({"run8", "8"}));
    QVERIFY(page.pictures >= 6);
    QVERIFY(says(page, "the one of each method with the lowest KL divergence"));
}

void TestHtmlReport::layersProvenanceAndRepetition()
{
    ReportEntry with = entry("run1");
    with.notes = "a note";
    with.tags = {"good", "paper"};
    const Page page = parsed(htmlOf({with}));
    bool layers = false;
    bool hashes = false;
    for (const auto& table : page.tables) {
        for (const QStringList& row : table) {
            layers = layers || row == QStringList({"a.q_proj", "4 × 6", "2", "10.0 %", "33.3 %",
                                                   "9.5", "3.50", "0.000"});
            hashes = hashes || row == QStringList({"evaluation text hash", "eh"});
        }
    }
    QVERIFY(layers && hashes);
    QVERIFY(says(page, "Done differently: group_size 64 instead of 128"));
    QVERIFY(says(page, "Notes: a note") && says(page, "Tags: good, paper"));
    QVERIFY(page.texts.contains("qw rerun run1 --verify"));
    QVERIFY(page.texts.contains(QString::fromStdString(runCommand(with.run.spec))));
    // The specification printed is the specification run.
    const auto spec = std::find_if(page.texts.begin(), page.texts.end(),
                                   [](const QString& text) { return text.startsWith('{'); });
    QVERIFY(spec != page.texts.end());
    QVERIFY(runSpecFromJson(parseJson(spec->toStdString(), "page")) == with.run.spec);
}

void TestHtmlReport::hostileTextIsOnlyText()
{
    const QString hostile = "</td></pre><script>alert('x')</script>\" onclick=\"&amp;";
    const std::string text = hostile.toStdString();
    ReportEntry bad = entry(text);
    bad.notes = bad.run.problem = bad.run.provenance.cpu = bad.run.provenance.modelHash = text;
    bad.tags = {text};
    bad.run.status = text;
    bad.run.spec.model = bad.run.spec.method = bad.run.spec.evaluation.text = text;
    bad.run.substitutions = {text};
    bad.run.phases = {{text, 1}};
    bad.run.layers[0].name = bad.run.layers[1].name = text;
    const std::string html = htmlOf({bad, entry("fine")}, text);
    const Page page = parsed(html);
    QCOMPARE(page.problem, QString());
    QVERIFY(!QString::fromStdString(html).contains("<script"));
    QCOMPARE(page.texts.first(), hostile);
    QVERIFY(says(page, "Notes: " + hostile));
    QVERIFY(says(page, "Done differently: " + hostile));
    bad.notes = "broken \xFF\x01 bytes";
    QCOMPARE(parsed(htmlOf({bad})).problem, QString());
}

void TestHtmlReport::refersToNothingOutside()
{
    QString html = QString::fromStdString(htmlOf({entry("a"), entry("b")}));
    html.remove("xmlns=\"http://www.w3.org/1999/xhtml\"");
    html.remove("xmlns=\"http://www.w3.org/2000/svg\"");
    for (const char* outside : {"http:", "https:", "src=", "url(", "@import", "<link", "<script"}) {
        QVERIFY2(!html.contains(outside), outside);
    }
}

void TestHtmlReport::sameRunsSameReport()
{
    QVERIFY(htmlOf({entry("a"), entry("b")}) == htmlOf({entry("a"), entry("b")}));
}

void TestHtmlReport::linksLeadSomewhere()
{
    const Page page = parsed(htmlOf({entry("a"), entry("b")}));
    QVERIFY(page.links.size() >= 2);
    for (const QString& link : page.links) {
        QVERIFY2(page.anchors.contains(link.mid(1)), qPrintable(link));
    }
    QCOMPARE(QSet<QString>(page.anchors.begin(), page.anchors.end()).size(), page.anchors.size());
}

void TestHtmlReport::needsRuns()
{
    QVERIFY_EXCEPTION_THROWN(reportOf({}, "title"), Error);
}

QTEST_GUILESS_MAIN(TestHtmlReport)
#include "tst_html_report.moc"
