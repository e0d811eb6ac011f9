#include "report/spec_command.h"

#include <QtTest>

using namespace qw;

class TestSpecCommand : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void commands_data();
    void commands();
    void settingsWithoutFlags();
    void settingsOfAFlag();
    void sentencesInFlags();
    void quoting();
};

void TestSpecCommand::commands_data()
{
    QTest::addColumn<QString>("spec");
    QTest::addColumn<QString>("command");
    QTest::newRow("defaults") << R"({"model": "demo"})"
                              << "qw run demo";
    QTest::newRow("settings, sorted")
        << R"({"model": "a b", "method": "lqer", "weight": {"bits": 3, "group_size": "channel",
               "sym": true}, "low_rank": {"rank": 8}, "seed": 2})"
        << "qw run 'a b' --rank 8 --method lqer --seed 2 --bits 3 --group-size channel --sym";
    QTest::newRow("range search")
        << R"({"model": "demo", "weight": {"range": "lrq", "range_norm": 3, "range_steps": 7}})"
        << "qw run demo --range lrq --range-norm 3.0 --range-steps 7";
    QTest::newRow("KV cache") << R"({"model": "demo", "kv_cache": {"format": "int", "bits": 4}})"
                              << "qw run demo --kv-bits 4";
    QTest::newRow("KV cache, default width")
        << R"({"model": "demo", "kv_cache": {"format": "int"}})"
        << "qw run demo --kv-bits 8";
    QTest::newRow("default block of mxint") << R"({"model": "demo", "weight": {"format": "mxint"}})"
                                            << "qw run demo --format mxint";
    QTest::newRow("rank of a learned divisor")
        << R"({"model": "demo", "method": "lrq", "reconstruction": {"rank": "official", "lr": 0.5},
               "low_rank": {"correction": "lqer", "rank": 4}})"
        << "qw run demo --correction lqer --correction-rank 4 --method lrq --lr 0.5 --rank "
           "official";
    QTest::newRow("training")
        << R"({"model": "demo", "method": "lr-qat", "training": {"text": "t.txt", "steps": 300,
               "lr": 0.01, "rank": 8, "phi": "int", "recompute": false},
               "activation": {"points": "a8"}})"
        << "qw run demo --act-points a8 --method lr-qat --lr 0.01 --phi int --rank 8 "
           "--no-recompute --steps 300 --train-text t.txt";
    QTest::newRow("training on the grid of another method")
        << R"({"model": "demo", "method": "peqa", "weight": {"range": "minmax"}})"
        << "qw run demo --method peqa --range minmax";
    QTest::newRow("scaled inputs")
        << R"({"model": "demo", "method": "awq", "awq": {"ratios": 5, "clip": "none"},
               "activation": {"format": "int", "scale": "tensor"}})"
        << "qw run demo --act-format int --act-scale tensor --awq-clip none --awq-ratios 5 "
           "--method awq";
    QTest::newRow("settings of other methods are left out")
        << R"({"model": "demo", "method": "lrq", "reconstruction": {"rho": 0.2, "rank": 8},
               "smooth": {"alpha": 0.5}, "gptq": {"act_order": true}, "low_rank": {"rank": 4,
               "statistic": "rms"}})"
        << "qw run demo --method lrq --rank 8 --rho 0.2";
    QTest::newRow("those of a correction stay")
        << R"({"model": "demo", "low_rank": {"rank": 4, "correction": "l2qer",
               "statistic": "rms"}})"
        << "qw run demo --correction l2qer --correction-rank 4 --statistic rms";
    QTest::newRow("overrides and skips")
        << R"({"model": "demo", "overrides": [{"pattern": "q_proj$", "bits": 8, "rank": 0},
               {"pattern": "it's", "skip": true}]})"
        << "qw run demo --override 'q_proj$:bits=8,rank=0' --skip 'it'\\''s'";
}

void TestSpecCommand::commands()
{
    QFETCH(QString, spec);
    QFETCH(QString, command);
    const RunSpec parsedSpec = runSpecFromJson(parseJson(spec.toStdString(), "row"));
    QCOMPARE(QString::fromStdString(runCommand(parsedSpec)), command);
}

void TestSpecCommand::settingsWithoutFlags()
{
    RunSpec divisor; // --rank means another setting in rtn, which has no divisor
    divisor.reconstruction.rank = "full";
    QCOMPARE(runCommand(divisor), std::string("qw run ''"));
    RunSpec training; // nothing that rtn looks at, and --lr means another setting in lsq
    training.training.lr = 0.5;
    QCOMPARE(runCommand(training), std::string("qw run ''"));
    training.reconstruction.lr = 0.25;
    training.lowRank.rank = 8;
    training.method = "lsq";
    training.weight = usualWeight("lsq");
    QCOMPARE(runCommand(training), std::string("qw run '' --method lsq --lr 0.5"));
    RunSpec order; // the program would put the skip last, where it wins
    order.overrides.resize(2);
    order.overrides[0].pattern = "a";
    order.overrides[0].skip = true;
    order.overrides[1].pattern = "b";
    order.overrides[1].bits = 8;
    QVERIFY(runCommand(order).empty());
}

void TestSpecCommand::settingsOfAFlag()
{
    using Names = std::vector<std::string>;
    QCOMPARE(settingsOfFlag("--lr"), (Names{"reconstruction.lr", "training.lr"}));
    QCOMPARE(settingsOfFlag("--act-order"), Names{"gptq.act_order"});
    QCOMPARE(settingsOfFlag("--store"), Names{});
}

void TestSpecCommand::sentencesInFlags()
{
    QCOMPARE(inFlags("weight.range_norm -1 is not a number above 0"),
             std::string("--range-norm -1 is not a number above 0"));
    QCOMPARE(inFlags("activation.scale tensor needs activation.format int, not none"),
             std::string("--act-scale tensor needs --act-format int, not none"));
    QCOMPARE(inFlags("training.lr is no setting of peqa; use training.lr_scale"),
             std::string("--lr is no setting of peqa; use --lr-scale"));
    QCOMPARE(inFlags("seed -1 is too small for a seed"),
             std::string("--seed -1 is too small for a seed"));
    QCOMPARE(inFlags("overrides[0].bits 9 is not in 2..8"),
             std::string("--override: bits 9 is not in 2..8"));
    QCOMPARE(inFlags("overrides[1] has no pattern", 1), std::string("--skip: has no pattern"));
    QCOMPARE(inFlags("overrides[0] changes nothing", 1),
             std::string("--override: changes nothing"));
    QCOMPARE(inFlags("q_proj: weight.group_size 24 does not divide"),
             std::string("q_proj: --group-size 24 does not divide"));
    // What the user wrote stays as it was written.
    for (const char* own :
         {"no such text \"my weight.bits\"", "/data/weight.bits: no such folder",
          "weight.bits.json: no such file", "weight.bits/model: no such folder"}) {
        QCOMPARE(inFlags(own), std::string(own));
    }
    QCOMPARE(inFlags("kv_cache.bits 1 is not in 2..8"), std::string("--kv-bits 1 is not in 2..8"));
}

void TestSpecCommand::quoting()
{
    QCOMPARE(shellQuoted("a/b_c-1.txt"), std::string("a/b_c-1.txt"));
    QCOMPARE(shellQuoted(""), std::string("''"));
    QCOMPARE(shellQuoted("$(rm x)"), std::string("'$(rm x)'"));
    QCOMPARE(shellQuoted("it's"), std::string("'it'\\''s'"));
}

QTEST_GUILESS_MAIN(TestSpecCommand)
#include "tst_spec_command.moc"
