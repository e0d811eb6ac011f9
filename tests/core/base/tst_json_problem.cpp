#include "base/json_problem.h"

#include <QtTest>

#include "base/error.h"

using namespace qw;

/// A text that is no JSON is refused by one sentence that names the place.
class TestJsonProblem : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void sentences_data()
    {
        QTest::addColumn<QByteArray>("text");
        QTest::addColumn<QByteArray>("sentence");
        QTest::newRow("bracket") << QByteArray("{\"a\": ]")
                                 << QByteArray("f: is not valid JSON: line 1, column 7: unexpected "
                                               "']'; expected '[', '{', or a literal");
        QTest::newRow("second line")
            << QByteArray("{\"a\": 1,\n  b}")
            << QByteArray("f: is not valid JSON: line 2, column 3: invalid literal");
        QTest::newRow("not UTF-8")
            << QByteArray("[\"\xff\"]")
            << QByteArray(
                   "f: is not valid JSON: line 1, column 3: invalid string: ill-formed UTF-8 "
                   "byte");
        QTest::newRow("too large a number")
            << QByteArray("[1e999]")
            << QByteArray("f: is not valid JSON: number overflow parsing '1e999'");
    }
    void sentences()
    {
        QFETCH(QByteArray, text);
        QFETCH(QByteArray, sentence);
        try {
            parseJson(text.toStdString(), "f");
            QFAIL("was not refused");
        } catch (const Error& problem) {
            QCOMPARE(QByteArray(problem.what()), sentence);
        }
    }

    void lineOfAFile()
    {
        QCOMPARE(parseJsonLine("{\"a\": 1}", "f, line 7").at("a").get<int>(), 1);
        try {
            parseJsonLine("{\"a\": ]", "f, line 7");
            QFAIL("was not refused");
        } catch (const Error& problem) {
            QCOMPARE(QByteArray(problem.what()).left(50),
                     QByteArray("f, line 7: is not valid JSON: column 7: unexpected"));
        }
    }

    void typeError()
    {
        try {
            Json(nullptr).get<std::string>();
            QFAIL("has a type");
        } catch (const nlohmann::json::exception& problem) {
            QCOMPARE(QByteArray(jsonProblem(problem).c_str()),
                     QByteArray("type must be string, but is null"));
        }
    }
};

QTEST_GUILESS_MAIN(TestJsonProblem)
#include "tst_json_problem.moc"
