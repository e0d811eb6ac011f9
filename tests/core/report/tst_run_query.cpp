#include <QTest>

#include "base/error.h"
#include "report/run_query.h"
#include "support/base_results.h"

using qw::RunQuery;
using qw::RunSummary;

class TstRunQuery : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void matches_data();
    void matches();
    void refusals_data();
    void refusals();
    void missingNumbersFulfilNothing();
    void statusIsAlsoWhatAListSays();
    void allKeysAreExplained();
};

void TstRunQuery::matches_data()
{
    QTest::addColumn<QString>("query");
    QTest::addColumn<bool>("expected");
    const auto row = [](const char* query, bool expected) {
        QTest::newRow(query) << QString::fromUtf8(query) << expected;
    };
    row("", true);
    row("bits:3", true);
    row("bits:4", false);
    row("bits:2,3", true);
    row("bits<3", false);
    row("bits<=3", true);
    row("bits>2", true);
    row("bits>=4", false);
    row("bits=3", true);
    row("-bits:3", false);
    row("method:qer", true);
    row("method=qer", false);
    row("method=L2QER", true);
    row("method:lqer,qera", false); // "l2qer" has neither in it
    row("ppl<12.2 kl<0.1", true);
    row("ppl<12.2 kl<0.01", false);
    row("top1>90", true);
    row("mb<0.02", true);
    row("group:128", true);
    row("group:channel", false);
    row("tag:night", true);
    row("-tag:night", false);
    row("tag:day", false);
    row("star:yes", true);
    row("star:no", false);
    row("note:\"two words\"", true);
    row("two", true);
    row("abcdefgh", true);
    row("Night", true);
    row("demo", true);
    row("nothing-of-this", false);
    row("\"two wor", true); // being typed
}

void TstRunQuery::matches()
{
    RunSummary run;
    run.result = qw::test::sampleResult("abcdefgh1234");
    run.tags = {"night", "w3"};
    run.notes = "here are Two Words";
    run.starred = true;
    QFETCH(QString, query);
    QTEST(RunQuery::parse(query.toStdString()).matches(run), "expected");
}

void TstRunQuery::refusals_data()
{
    QTest::addColumn<QString>("query");
    QTest::addColumn<QString>("part");
    QTest::newRow("unknown key") << "colour:red"
                                 << "no \"colour\"";
    QTest::newRow("no number") << "bits:three"
                               << "bits wants a number";
    QTest::newRow("no value") << "ppl<"
                              << "lacks a value";
    QTest::newRow("order of a text") << "method<lqer"
                                     << "is a text";
    QTest::newRow("several") << "ppl<3,4"
                             << "several";
}

void TstRunQuery::refusals()
{
    QFETCH(QString, query);
    QFETCH(QString, part);
    try {
        RunQuery::parse(query.toStdString());
        QFAIL("accepted");
    } catch (const qw::Error& error) {
        QVERIFY2(QString::fromUtf8(error.what()).contains(part), error.what());
    }
}

void TstRunQuery::missingNumbersFulfilNothing()
{
    RunSummary run;
    run.result.spec.method = "rtn";
    for (const char* query : {"ppl<1000", "ppl>0", "ppl:0", "kl<=9"}) {
        QVERIFY2(!RunQuery::parse(query).matches(run), query);
    }
    QVERIFY(RunQuery::parse("-ppl<1000").matches(run));
}

void TstRunQuery::statusIsAlsoWhatAListSays()
{
    RunSummary run;
    run.result.status = "cancelled";
    for (const char* query : {"status:paused", "status=Paused", "status:cancelled"}) {
        QVERIFY2(RunQuery::parse(query).matches(run, "paused"), query);
        QVERIFY2(!RunQuery::parse(std::string("-") + query).matches(run, "paused"), query);
    }
    QVERIFY(!RunQuery::parse("status:paused").matches(run));
    QVERIFY(!RunQuery::parse("note:paused").matches(run, "paused"));
}

void TstRunQuery::allKeysAreExplained()
{
    RunSummary run;
    run.result = qw::test::sampleResult("abcdefgh1234");
    for (const qw::RunQueryKey& key : qw::runQueryKeys()) {
        QVERIFY(!key.meaning.empty());
        const std::string term = key.name + (key.number ? ":1" : ":none-of-them");
        QVERIFY2(!RunQuery::parse(term).matches(run), term.c_str());
    }
}

QTEST_GUILESS_MAIN(TstRunQuery)
#include "tst_run_query.moc"
