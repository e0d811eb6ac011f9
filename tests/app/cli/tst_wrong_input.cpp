#include "support/qw_process.h"

#include <QDir>
#include <QtTest>

using qw::test::QwOutcome;
using qw::test::QwProgram;

/// Wrong input of every kind: one sentence that says what is wrong, exit status 2, nothing on
/// standard output.
class TestWrongInput : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void oneSentence_data();
    void oneSentence();
    void refusedBeforeTheFirstPhase();
    void patternsOfNoLayerAreSaidBeforeTheWork();

private:
    QwProgram m_qw;
};

void TestWrongInput::initTestCase()
{
    m_qw.write("empty.txt", "");
    m_qw.write("short.txt", "hi\n");
    QDir(m_qw.folder()).mkdir("empty_folder");
    QDir(m_qw.folder()).mkdir("bad_config");
    m_qw.write("bad_config/config.json", "{\"model_type\": \"lama\"}");
    m_qw.write("unknown_key.json", R"({"model": "demo", "metod": "rtn"})");
    m_qw.write("bits9.json", R"({"model": "demo", "weight": {"bits": 9}})");
    m_qw.write("cut.json", R"({"model": )");
    m_qw.write("list.json", "[]");
    m_qw.write("nan.json", R"({"model": "demo", "weight": {"range_norm": NaN}})");
    m_qw.write("good.json", R"({"model": "demo"})");
    m_qw.write("damaged.sqlite", QByteArray(8192, 'x'));
}

void TestWrongInput::oneSentence_data()
{
    QTest::addColumn<QString>("line");
    QTest::addColumn<QStringList>("said");
    const auto row = [](const char* line, const QStringList& said) {
        QTest::newRow(line) << line << said;
    };
    // The command line itself.
    row("", {"a command is missing", "qw --help"});
    row("evl demo", {"unknown command evl", "did you mean eval?"});
    row("runs", {"a command is missing", "qw runs --help"});
    row("runs shw x", {"unknown command shw", "did you mean show?"});
    row("run", {"model is required"});
    row("run demo --metod rtn", {"unknown option --metod", "did you mean --method?"});
    row("sweep demo --methods rtn --bit 3", {"unknown option --bit", "did you mean --bits?"});
    row("eval demo extra --text x", {"extra"});
    row("run demo --bits", {"--bits"});
    row("run demo --method lqre --rank 4", {"\"lqre\"", "did you mean \"lqer\"?"});
    row("sweep demo --methods rtn,lqre --ranks 4", {"\"lqre\"", "did you mean \"lqer\"?"});
    row("completion powershell", {"powershell", "bash,zsh,fish"});
    // Numbers.
    row("run demo --bits x", {"--bits \"x\" is not a whole number"});
    row("run demo --bits 3.5", {"--bits \"3.5\" is not a whole number"});
    row("run demo --range-norm many", {"--range-norm \"many\" is not a number"});
    row("run demo --sym --range lp --range-norm nan", {"--range-norm nan"});
    row("run demo --sym --range lp --range-norm inf", {"--range-norm inf"});
    row("run demo --bits 9", {"--bits 9 is not in 2..8"});
    row("sweep demo --bits 9", {"--bits 9 is not in 2..8"});
    row("run demo --method lrq --calibration demo:calibration --iters 0",
        {"--iters 0 is not in 1..100000000"});
    row("run demo --method lsq --train-text demo:calibration --steps 0",
        {"--steps 0 is not in 1..100000000"});
    row("run demo --bits 1", {"bits 1 is not in 2..8"});
    row("run demo --rank -1", {"rank -1", "at least 0"});
    row("run demo --seed -1", {"seed -1"});
    row("run demo --nsamples 0", {"nsamples 0"});
    row("run demo --threads -1", {"--threads -1 is not in 0..4096"});
    row("runs list --threads x", {"--threads \"x\" is not a whole number"});
    row("runs list --limit 0", {"--limit"});
    row("eval demo --text demo:evaluation --seqlen 1", {"seqlen 1"});
    row("eval demo --text demo:evaluation --protocol llama.cpp --seqlen 2",
        {"seqlen 2", "llama.cpp", "at least 3"});
    row("eval demo --text demo:evaluation --seqlen 100000", {"seqlen 100000", "512"});
    row("eval demo --text demo:evaluation --windows -1", {"windows -1"});
    row("generate demo --tokens 0", {"--tokens 0"});
    row("generate demo --temperature nan", {"--temperature nan"});
    row("generate demo --top-p 7", {"--top-p 7"});
    row("generate demo --top-k -1", {"--top-k -1"});
    row("generate demo --compute f16", {"--compute \"f16\"", "bf16"});
    row("generate demo --samples 0", {"--samples 0"});
    row("generate demo --batch-size 0", {"--batch-size 0"});
    // Names.
    row("run demo --method rnt", {"unknown method \"rnt\"", "qera-exact", "did you mean \"rtn\"?"});
    row("estimate demo --method lqre", {"unknown method \"lqre\"", "did you mean \"lqer\"?"});
    row("sweep demo --methods rtn,lqre", {"unknown method \"lqre\""});
    row("run demo --format itn", {"format \"itn\"", "int, mxint"});
    row("eval demo --text demo:evaluation --protocol ggml", {"protocol \"ggml\"", "llama.cpp"});
    row("eval demo --text demo:evaluation --compute f16", {"compute \"f16\"", "bf16"});
    row("run demo --artifacts maybe", {"artifacts \"maybe\"", "keep, discard"});
    row("inspect demo --spectrum --layer model.layers.0.mlp.down_prj",
        {"no linear layer", "did you mean \"model.layers.0.mlp.down_proj\"?"});
    // Combinations.
    row("run demo --group-size 100", {": --group-size 100 does not divide", "256 columns",
                                      "1, 2, 4, 8, 16, 32, 64, 128, 256", "--adjust"});
    row("run demo --format mxint --group-size 24",
        {": --group-size 24 does not divide", "256 columns", "1, 2, 4, 8, 16, 32", "--adjust"});
    row("estimate demo --format mxint --override q_proj:group_size=48",
        {"q_proj", ": group_size 48 does not divide"});
    row("run demo --kv-bits 1", {"--kv-bits 1 is not in 2..8"});
    row("sweep demo --kv-bits 9", {"--kv-bits 9 is not in 2..8"});
    row("run demo --kv-bits x", {"--kv-bits \"x\" is not a whole number"});
    row("run demo --group-size 0", {"--group-size \"0\"", "channel", "tensor"});
    row("run demo --format mxint --group-size channel", {"channel", "mxint"});
    row("sweep demo --group-sizes 128,100", {": --group-sizes 100 does not divide"});
    row("run demo --sym --asym", {"--sym and --asym"});
    row("run demo --method lr-qat --train-text demo:calibration --asym",
        {"--asym", "lr-qat", "symmetric grids only"});
    row("sweep demo --methods rtn,peqa --asym", {"--asym", "peqa"});
    row("run demo --method lr-qat", {"--train-text is missing", "lr-qat trains on a text"});
    row("run demo --method lr-qat --train-text nowhere.txt", {"nowhere.txt", "no such text file"});
    row("run demo --method lr-qat --train-text short.txt --train-seqlen 64",
        {"short.txt", "one window of 64"});
    row("run demo --method lr-qat --train-seqlen 1", {"seqlen 1"});
    row("run demo --method lr-qat --train-text demo:calibration --train-seqlen 1000",
        {"seqlen 1000", "512"});
    row("run demo --steps 5", {"--steps", "lr-qat, lsq and peqa, not of rtn"});
    row("run demo --method lr-qta", {"unknown method \"lr-qta\"", "did you mean \"lr-qat\"?"});
    row("run demo --method lr-qat --phi fixed", {"phi \"fixed\"", "did you mean \"fixed8\"?"});
    row("run demo --method lr-qat --init loft", {"init \"loft\"", "did you mean \"loftq\"?"});
    row("run demo --method lsq --phi int", {"--phi", "of lr-qat, not of lsq"});
    row("run demo --method peqa --rank 4", {"--rank", "lrq and lr-qat, not of peqa"});
    row("run demo --method peqa --lr 0.1", {"--lr", "lr-qat and lsq, not of peqa"});
    row("run demo --method lr-qat --lr -1", {"--lr -1 is below 0"});
    row("run demo --method lr-qat --rank half", {"--rank: \"half\" is not a whole number"});
    row("run demo --method lr-qat --iters 5",
        {"--iters is a setting of flexround and lrq, not of lr-qat"});
    row("run demo --method rtn --iters 5", {"--iters", "flexround and lrq, not of rtn"});
    row("run demo --method gptq --rho .2", {"--rho is a setting of lrq, not of gptq"});
    row("run demo --method flexround --rank 4", {"--rank", "lrq and lr-qat, not of flexround"});
    row("run demo --method lrq --act-order", {"--act-order", "gptq, not of lrq"});
    row("run demo --method lr-qat --awq-ratios 3", {"--awq-ratios", "awq, not of lr-qat"});
    row("run demo --method awq --smooth-alpha .5", {"--smooth-alpha", "smoothquant, not of awq"});
    row("run demo --method rtn --statistic rms", {"--statistic", "l2qer, not of rtn"});
    row("run demo --correction lqer --statistic rms", {"--statistic", "l2qer, not of rtn"});
    row("run demo --method rtn --no-recompute", {"recompute", "lr-qat, lsq and peqa, not of rtn"});
    row("estimate demo --method gptq --lr 1", {"--lr", "not of gptq"});
    row("inspect demo --layer x --spectrum --iters 5", {"--iters", "not of rtn"});
    row("sweep demo --methods rtn,gptq --iters 5", {"--iters", "not of rtn and gptq"});
    row("sweep demo --methods rtn,lsq --ranks 0,4",
        {"--ranks is a setting of lqer, l2qer, qera-approx, qera-exact, lrq and lr-qat, not of rtn "
         "and lsq"});
    row("sweep demo --methods rtn,lrq --ranks -4 --calibration demo:calibration",
        {"--ranks \"-4\""});
    row("run demo --method lsq --format mxint", {"--format \"mxint\"", "lsq", "integer grids"});
    row("run demo --method lr-qat --group-size tensor", {"--group-size \"tensor\"", "lr-qat"});
    row("run demo --method lr-qat --bits 8", {"fixed8", "8 bits"});
    row("run demo --method lr-qat --act-format mxint", {"--act-format \"mxint\"", "lr-qat"});
    row("run demo --act-points a8 --act-format int", {"--act-format \"int\"", "--act-points a8"});
    row("run demo --act-points a16", {"--act-points \"a16\"", "a8kv4"});
    row("run demo --act-bits 4", {"--act-bits needs --act-format int or mxint"});
    row("sweep demo --methods rtn --act-zero-point none", {"--act-zero-point needs --act-format"});
    row("run demo --method lr-qat --warmup 6 --steps 5", {"warmup 6", "5 steps"});
    row("run demo --method lr-qat --train-text demo:calibration --init qera-exact",
        {"qera-exact", "calibration text"});
    row("run demo --method l2qer --rank 4", {"l2qer", "calibration"});
    row("run demo --method gptq --calibration demo:calibration --format mxint",
        {"--format mxint does not go with gptq"});
    row("estimate demo --method awq --calibration demo:calibration --group-size tensor",
        {"--group-size tensor does not go with awq"});
    row("run demo --override q_proj:bits=9", {"--override: bits 9 is not in 2..8"});
    row("run demo --method gptq --calibration demo:calibration --correction lqer "
        "--correction-rank -1",
        {"--correction-rank -1 is too small"});
    row("run demo --override q_proj", {"--override \"q_proj\"", "REGEX:bits=8"});
    row("run demo --override q_proj:bitz=3", {"unknown key \"bitz\"", "group_size"});
    row("run demo --override (:bits=3", {"override \"(\"", "regular expression"});
    row("run demo --skip .", {"nothing is left to quantize"});
    row("sweep demo --shard 2/2", {"--shard \"2/2\"", "I from 0 to N-1"});
    row("sweep demo --shard 1/2x", {"--shard \"1/2x\""});
    row("eval demo", {"--text", "--choices"});
    row("inspect demo --spectrum", {"--spectrum and --layer"});
    row("inspect demo --csv --json", {"--csv and --json"});
    row("runs compare one", {"two runs"});
    row("run good.json --bits 3", {"--bits", "good.json"});
    // Devices.
    row("runs list --device tpu", {"unknown device \"tpu\"", "cuda:N"});
    row("run demo --device cuda:99", {"cuda:99", "is not there"});
    // Files.
    row("run nowhere", {"nowhere", "no such model folder"});
    row("run short.txt", {"short.txt", "config.json"});
    row("run empty_folder", {"empty_folder", "config.json"});
    row("inspect bad_config", {"bad_config", "lama"});
    row("tokenize nowhere", {"nowhere"});
    row("eval demo --text nowhere.txt", {"nowhere.txt", "no such text file"});
    row("eval demo --text demo:novel", {"demo:novel", "demo:evaluation"});
    row("eval demo --text empty.txt", {"empty.txt", "one window"});
    row("eval demo --text short.txt --seqlen 64", {"short.txt", "one window of 64"});
    row("run nowhere.json", {"nowhere.json", "No such file"});
    row("run unknown_key.json", {"unknown key \"metod\"", "did you mean \"method\"?"});
    row("run bits9.json", {"bits 9 is not in 2..8"});
    row("run cut.json", {"cut.json: is not valid JSON: line 1, column", "unexpected end of input"});
    row("run list.json", {"expected an object"});
    row("run nan.json", {"nan.json: is not valid JSON: line 1, column", "invalid literal"});
    // Stores and runs.
    row("runs list --store damaged.sqlite", {"damaged.sqlite", "damaged"});
    row("run demo --store damaged.sqlite", {"damaged.sqlite", "damaged"});
    row("runs list --store empty_folder", {"empty_folder", "is a folder"});
    row("run demo --store empty_folder", {"empty_folder", "is a folder"});
    row("sweep demo --store empty_folder/", {"empty_folder/", "is a folder"});
    row("runs merge good.sqlite --store short.txt/new.sqlite", {"short.txt", "cannot be made"});
    row("runs merge good.sqlite --store /proc/new.sqlite",
        {"/proc/new.sqlite", "cannot be opened"});
    row("runs list --store nowhere.sqlite", {"nowhere.sqlite", "there is no such run store"});
    row("runs tag x y --store nowhere.sqlite", {"there is no such run store"});
    row("export x --plan --store nowhere.sqlite", {"there is no such run store"});
    row("runs show nothing", {"no run \"nothing\""});
    row("runs tag nothing x", {"no run \"nothing\""});
    row("runs delete nothing", {"no run \"nothing\""});
    row("runs merge nowhere.sqlite", {"nowhere.sqlite"});
    row("rerun nothing --verify", {"no run \"nothing\""});
    row("report nothing --out x.html", {"no run \"nothing\""});
    row("resume nothing", {"no run and no sweep \"nothing\""});
    row("generate --run nothing", {"no run \"nothing\""});
}

void TestWrongInput::oneSentence()
{
    QFETCH(QString, line);
    QFETCH(QStringList, said);
    const QwOutcome outcome = m_qw.run(line);
    QStringList sentences = outcome.err.split('\n', Qt::SkipEmptyParts);
    sentences.removeAll("prepare"); // the phase, where it begins before the mistake is found
    QCOMPARE(outcome.status, 2);
    QCOMPARE(outcome.out, QByteArray());
    QVERIFY2(sentences.size() == 1 && sentences.front().startsWith("qw"), qPrintable(outcome.err));
    QVERIFY2(!outcome.err.contains("exception"), qPrintable(outcome.err)); // of a library
    for (const QString& part : said) {
        QVERIFY2(sentences.front().contains(part), qPrintable(outcome.err));
    }
}

void TestWrongInput::refusedBeforeTheFirstPhase()
{
    for (const char* line : {"run demo --method rnt", "run demo --text nowhere.txt",
                             "run demo --method lrq --text demo:evaluation"}) {
        const QwOutcome outcome = m_qw.run(line);
        QCOMPARE(outcome.status, 2);
        QVERIFY2(!outcome.err.contains("prepare\n"), qPrintable(outcome.err));
    }
}

void TestWrongInput::patternsOfNoLayerAreSaidBeforeTheWork()
{
    const QString sentence = QStringLiteral("warning: override \"q_porj\" matches none of the");
    for (const char* line :
         {"run demo --threads 1 --artifacts discard --skip q_porj",
          "run demo --threads 1 --artifacts discard --override q_porj:bits=8",
          "sweep demo --threads 1 --artifacts discard --bits 3,4 --override q_porj:bits=8"}) {
        const QwOutcome outcome = m_qw.run(line);
        QCOMPARE(outcome.status, 0);
        QCOMPARE(outcome.err.count(sentence), 1); // of a sweep, too
        QVERIFY2(outcome.err.indexOf(sentence) < outcome.err.indexOf("prepare"),
                 qPrintable(outcome.err));
    }
}

QTEST_GUILESS_MAIN(TestWrongInput)
#include "tst_wrong_input.moc"
