#include <cmath>
#include <fstream>

#include <QTemporaryDir>
#include <QtTest>

#include "base/error.h"
#include "base/json_io.h"
#include "engine.h"
#include "model/checkpoint.h"
#include "support/tensor_model_files.h"

using namespace qw;
using namespace qw::test;

namespace {
const std::filesystem::path kFolder = std::filesystem::path(QW_GOLDEN_DIR) / "models/perplexity";

ChoiceScore score(const std::filesystem::path& file)
{
    return evaluateChoices(kFolder.string(), nullptr, file, "cpu", RunContext());
}
} // namespace

class TestChoices : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void accuraciesEqualReference()
    {
        const Json golden = readJsonFile(kFolder / "perplexity.json", 1 << 20).at("choices");
        const ChoiceScore result = score(kFolder / "choices.jsonl");
        QCOMPARE(result.questions, golden.at("questions").get<std::int64_t>());
        QCOMPARE(result.accuracy, golden.at("accuracy").get<double>());
        QCOMPARE(result.stderrAccuracy, golden.at("accuracy_stderr").get<double>());
        QCOMPARE(result.accuracyNormalized, golden.at("accuracy_normalized").get<double>());
        QCOMPARE(result.stderrNormalized, golden.at("accuracy_normalized_stderr").get<double>());
    }

    void refusesForeignRuns()
    {
        const auto refusal = [](const RunResult& run) {
            return sentenceOf([&] {
                evaluateChoices(kFolder.string(), &run, kFolder / "choices.jsonl", "cpu",
                                RunContext());
            });
        };
        RunResult run;
        run.id = "abc";
        run.status = "finished";
        run.provenance.modelHash = "another";
        QVERIFY(refusal(run).find("is not the model that run abc") != std::string::npos);
        run.provenance.modelHash = Checkpoint(kFolder).hash();
        QVERIFY(refusal(run).find("kept no artifact") != std::string::npos);
        run.status = "running";
        QVERIFY(
            refusal(run).find("is running, not finished; if it was interrupted, qw resume abc") !=
            std::string::npos);
        run.status = "cancelled";
        QVERIFY(refusal(run).find("is cancelled, not finished; qw resume abc") !=
                std::string::npos);
    }

    void refusesBadFiles_data()
    {
        QTest::addColumn<QString>("text");
        QTest::addColumn<QString>("says");
        // ' stands for ": moc does not follow raw strings.
        const auto row = [](const char* name, QString text, const char* says) {
            QTest::newRow(name) << text.replace('\'', '"') << says;
        };
        row("no question", "\n  \n", "holds no question");
        row("not JSON", "\n{'context': ]}", "line 2: is not valid JSON: column 13: unexpected ']'");
        row("one ending", "{'context': 'a', 'endings': ['b'], 'answer': 0}", "two endings");
        row("no such answer", "\n{'context': 'a', 'endings': ['b', 'c'], 'answer': 2}",
            "line 2: answer 2");
        row("negative answer", "{'context': 'a', 'endings': ['b', 'c'], 'answer': -1}",
            "answer -1");
        row("no answer", "{'context': 'a', 'endings': ['b', 'c']}", "\"answer\" is missing");
        row("no context", "{'endings': ['b', 'c'], 'answer': 0}", "\"context\" is missing");
        row("no endings", "{'context': 'a', 'answer': 0}", "\"endings\" is missing");
        row("half an answer", "{'context': 'a', 'endings': ['b', 'c'], 'answer': 0.7}",
            "\"answer\" has the wrong type");
        row("true as an answer", "{'context': 'a', 'endings': ['b', 'c'], 'answer': true}",
            "\"answer\" has the wrong type");
        row("number as a context", "{'context': 1, 'endings': ['b', 'c'], 'answer': 0}",
            "\"context\" has the wrong type");
        row("number as an ending", "{'context': 'a', 'endings': ['b', 1], 'answer': 0}",
            "\"endings\" has the wrong type");
        row("one text as endings", "{'context': 'a', 'endings': 'bc', 'answer': 0}",
            "\"endings\" has the wrong type");
        row("unknown key", "{'context': 'a', 'endings': ['b', 'c'], 'answers': 0}", "answers");
        row("too long",
            "{'context': '" + QString("x ").repeated(100) +
                "', 'endings': ['b', 'c'], 'answer': 0}",
            "the model takes 64");
    }
    void refusesBadFiles()
    {
        QFETCH(QString, text);
        QFETCH(QString, says);
        const QTemporaryDir folder;
        const std::filesystem::path file = folder.filePath("questions.jsonl").toStdString();
        writeBytes(file, text.toStdString());
        const std::string sentence = sentenceOf([&] { score(file); });
        QVERIFY2(sentence.find(says.toStdString()) != std::string::npos, sentence.c_str());
    }
};

QTEST_GUILESS_MAIN(TestChoices)
#include "tst_choices.moc"
