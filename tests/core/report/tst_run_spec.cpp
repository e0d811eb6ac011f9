#include "base/error.h"
#include "report/layer_rules.h"
#include "report/run_spec.h"

#include <QtTest>

#include <cmath>

using namespace qw;

namespace {
RunSpec parse(const char* text)
{
    return runSpecFromJson(parseJson(text, "test"));
}

/// The sentence it is refused with, or empty.
template <class F>
QString refusal(const F& action)
{
    try {
        action();
    } catch (const Error& problem) {
        return problem.code() == ErrorCode::BadInput ? QString::fromUtf8(problem.what())
                                                     : QStringLiteral("wrong code");
    }
    return {};
}

RunSpec everythingChanged()
{
    RunSpec spec;
    spec.model = "folder/ü";
    spec.method = "l2qer";
    spec.weight = {"mxint", 3, 32, true, "bf16", "lp", 0.1 + 0.2, 77, 4, "qera"};
    spec.lowRank = {48, 6, 32, "rms", "mean", "full", "lqer"};
    spec.reconstruction = {77, 0.1 + 0.2, "17", 0.3, 5, "bf16", "row", "product"};
    spec.training = {"c.txt", 300, 2,   3,     64,      0.1 + 0.2, 0.5,   7, 0.25,
                     0.5,     5,   2.0, "int", "loftq", "bf16",    false, 11};
    spec.gptq = {true, true, true, 0.1 + 0.7};
    spec.awq = {7, "none"};
    spec.smooth = {0.1 + 0.2};
    spec.activation = {"mxint", 6, 32, "float", "tensor", true, "a4"};
    spec.kvCache = {"int", 5};
    spec.calibration = {"a.txt", 5, 300, "sequential", 1};
    spec.evaluation = {"b.txt", 511, 3, "llama.cpp", "bf16"};
    spec.overrides = {{"q_proj$", 8, kPerTensor, 0, false}, {"down", {}, {}, {}, true}};
    spec.seed = 9007199254740993; // no double holds this
    spec.adjust = true;
    spec.artifacts = "discard";
    spec.device = "cuda:1";
    spec.threads = 3;
    return spec;
}
} // namespace

class TestRunSpec : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void jsonAndBackIsLossless();
    void everyFieldReachesJson();
    void defaultGroupSizeFollowsTheFormat();
    void trainingBeginsAtASearchedSymmetricGrid();
    void anotherMethodDropsWhatItRefuses();
    void groupSizes_data();
    void groupSizes();
    void refusedJson_data();
    void refusedJson();
    void refusedSettings_data();
    void refusedSettings();
    void laterOverridesWin();
    void wholeNamesAreMatchedAsExpressionsAre();
};

void TestRunSpec::jsonAndBackIsLossless()
{
    const RunSpec spec = everythingChanged();
    const std::string text = toJson(spec).dump();
    QVERIFY(runSpecFromJson(parseJson(text, "test")) == spec);
    QVERIFY(runSpecFromJson(toJson(RunSpec{})) == RunSpec{});
}

void TestRunSpec::everyFieldReachesJson()
{
    // A field forgotten in toJson would read back as its default, which everythingChanged differs
    // from everywhere: so the flat values must differ from the defaults in every place.
    const Json changed = toJson(everythingChanged()).flatten();
    const Json defaults = toJson(RunSpec{}).flatten();
    for (const auto& [key, value] : defaults.items()) {
        if (key != "/overrides") {
            QVERIFY2(changed.contains(key) && changed.at(key) != value, key.c_str());
        }
    }
}

void TestRunSpec::defaultGroupSizeFollowsTheFormat()
{
    QCOMPARE(parse("{}").weight.groupSize, 128);
    QCOMPARE(parse(R"({"weight":{"format":"mxint"}})").weight.groupSize, 16);
    QCOMPARE(parse(R"({"weight":{"group_size":64,"format":"mxint"}})").weight.groupSize, 64);
}

void TestRunSpec::trainingBeginsAtASearchedSymmetricGrid()
{
    const RunSpec spec = parse(R"({"weight":{"bits":3},"method":"lr-qat"})");
    QVERIFY(spec.weight.sym);
    QCOMPARE(spec.weight.range, std::string("lp"));
    QCOMPARE(spec.weight.rangeNorm, 4.0);
    QVERIFY(!parse(R"({"method":"rtn"})").weight.sym);
    const RunSpec chosen = parse(R"({"method":"lsq","weight":{"range":"minmax","range_norm":3}})");
    QCOMPARE(chosen.weight.range, std::string("minmax"));
    QCOMPARE(chosen.weight.rangeNorm, 3.0);
}

void TestRunSpec::anotherMethodDropsWhatItRefuses()
{
    RunSpec spec = parse(R"({"model":"demo","method":"lr-qat",
                             "training":{"phi":"int","rank":4,"lr":0.5,"steps":9}})");
    const RunSpec peqa = withMethod(spec, "peqa");
    validate(peqa);
    QCOMPARE(peqa.training.steps, 9);
    QVERIFY(peqa.weight == spec.weight);
    spec.weight.range = "minmax"; // among methods that train the grid stays as it was chosen
    QCOMPARE(withMethod(spec, "lsq").weight.range, std::string("minmax"));
    QCOMPARE(withMethod(spec, "lsq").training.lr, 0.5);
    QVERIFY(withMethod(spec, "rtn").weight == WeightSpec{});
    QVERIFY(withMethod(withMethod(spec, "rtn"), "lsq").weight == usualWeight("lsq"));
}

void TestRunSpec::groupSizes_data()
{
    QTest::addColumn<QString>("json");
    QTest::addColumn<qint64>("expected");
    QTest::newRow("channel") << "\"channel\"" << qint64{kPerChannel};
    QTest::newRow("tensor") << "\"tensor\"" << qint64{kPerTensor};
    QTest::newRow("number") << "64" << qint64{64};
}

void TestRunSpec::groupSizes()
{
    QFETCH(QString, json);
    QFETCH(qint64, expected);
    const Json group = parseJson(json.toStdString(), "test");
    QCOMPARE(runSpecFromJson({{"weight", {{"group_size", group}}}}).weight.groupSize, expected);
    QVERIFY(groupSizeToJson(expected) == group);
}

void TestRunSpec::refusedJson_data()
{
    QTest::addColumn<QString>("json");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* name, const char* json, const char* part) {
        QTest::newRow(name) << QString::fromUtf8(json) << QString::fromUtf8(part);
    };
    row("unknown key", R"({"methid":"rtn"})", "did you mean \"method\"?");
    row("nested", R"({"weight":{"bit":4}})", "did you mean \"bits\"?");
    row("in override", R"({"overrides":[{"pattern":"q","ranks":1}]})", "did you mean \"rank\"?");
    row("fraction", R"({"weight":{"bits":4.7}})", "\"bits\" has the wrong type");
    row("bool as int", R"({"seed":true})", "\"seed\" has the wrong type");
    row("int as bool", R"({"adjust":1})", "\"adjust\" has the wrong type");
    row("text as int", R"({"low_rank":{"rank":"8"}})", "\"rank\" has the wrong type");
    row("too large", R"({"seed":18446744073709551615})", "\"seed\" has the wrong type");
    row("group text", R"({"weight":{"group_size":"64 "}})", "neither a positive number");
    row("not an object", R"([])", "expected an object");
    row("overrides", R"({"overrides":{}})", "\"overrides\" has the wrong type");
}

void TestRunSpec::refusedJson()
{
    QFETCH(QString, json);
    QFETCH(QString, part);
    const QString said = refusal([&] { parse(json.toUtf8().constData()); });
    QVERIFY2(said.contains(part), qPrintable(said));
}

void TestRunSpec::refusedSettings_data()
{
    QTest::addColumn<QString>("json");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* json, const char* part) {
        QTest::newRow(part) << QString::fromUtf8(json) << QString::fromUtf8(part);
    };
    row(R"({"model":""})", "model is missing");
    row(R"({"weight":{"bits":9}})", "weight.bits 9 is not in 2..8");
    row(R"({"weight":{"bits":1}})", "weight.bits 1 is not in 2..8");
    row(R"({"weight":{"format":"mxnt"}})", "did you mean \"mxint\"?");
    row(R"({"weight":{"group_size":-2}})", "weight.group_size -2");
    row(R"({"weight":{"format":"mxint","group_size":"channel"}})", "does not fit format mxint");
    row(R"({"weight":{"exponent_bits":5}})", "weight.exponent_bits 5 is not 4 or 8");
    row(R"({"weight":{"range":"lrq","sym":true}})", "searches asymmetric grids");
    row(R"({"weight":{"range":"lp"}})", "searches symmetric grids");
    row(R"({"weight":{"format":"mxint","range":"lrq"}})", "needs format int");
    row(R"({"weight":{"range_norm":null}})", "weight.range_norm nan");
    row(R"({"low_rank":{"correction":"lqr"}})", "did you mean \"lqer\"?");
    row(R"({"reconstruction":{"iterations":-1}})", "reconstruction.iterations -1");
    row(R"({"reconstruction":{"iterations":0}})", "reconstruction.iterations 0 is not in 1..");
    row(R"({"training":{"steps":0}})", "training.steps 0 is not in 1..");
    row(R"({"reconstruction":{"lr":-1.0}})", "reconstruction.lr -1 is not");
    row(R"({"reconstruction":{"rank":"half"}})", "reconstruction.rank \"half\"");
    row(R"({"reconstruction":{"rank":0}})", "reconstruction.rank \"0\"");
    row(R"({"reconstruction":{"rho":0.01}})", "reconstruction.rho 0.01");
    row(R"({"reconstruction":{"batch_size":0}})", "reconstruction.batch_size 0");
    row(R"({"reconstruction":{"compute":"f16"}})", "reconstruction.compute \"f16\"");
    row(R"({"reconstruction":{"without":"rows"}})", "did you mean \"row\"?");
    row(R"({"training":{"steps":-1}})", "training.steps -1");
    row(R"({"training":{"batch_size":0}})", "training.batch_size 0");
    row(R"({"training":{"grad_accum":0}})", "training.grad_accum 0");
    row(R"({"training":{"seqlen":1}})", "training.seqlen 1 leaves nothing");
    row(R"({"training":{"lr":null}})", "training.lr nan");
    row(R"({"training":{"steps":5,"warmup":6}})", "training.warmup 6 is longer than the 5 steps");
    row(R"({"training":{"clip":-1}})", "training.clip -1");
    row(R"({"training":{"alpha":0}})", "training.alpha 0");
    row(R"({"training":{"phi":"fixed"}})", "did you mean \"fixed8\"?");
    row(R"({"training":{"init":"lofq"}})", "did you mean \"loftq\"?");
    row(R"({"training":{"save_every":0}})", "training.save_every 0");
    row(R"({"activation":{"points":"a8kv8"}})", "did you mean \"a8kv4\"?");
    row(R"({"activation":{"points":"a8","format":"int"}})",
        "does not go with activation.points a8");
    row(R"({"kv_cache":{"format":"int"},"activation":{"points":"a4"}})", "kv_cache.format \"int\"");
    row(R"({"method":"lr-qat","weight":{"sym":false}})",
        "weight.sym false does not go with lr-qat");
    row(R"({"method":"lsq","weight":{"format":"mxint"}})", "trains on integer grids");
    row(R"({"method":"peqa","weight":{"group_size":"tensor"}})", "a scale per row or group");
    row(R"({"method":"peqa","activation":{"format":"mxint"}})", "trains with integer activations");
    row(R"({"method":"lsq","activation":{"format":"int","scale":"tensor"}})",
        "activation.scale \"tensor\" does not go with lsq");
    row(R"({"method":"lsq","training":{"phi":"int"}})",
        "training.phi is a setting of lr-qat, not of lsq");
    row(R"({"method":"peqa","training":{"rank":4}})", "training.rank is a setting of lr-qat");
    row(R"({"method":"peqa","training":{"lr":0.1}})", "training.lr is no setting of peqa");
    row(R"({"method":"lr-qat","weight":{"bits":8}})", "\"fixed8\" has no room for 8 bits");
    row(R"({"gptq":{"damp_percent":0}})", "gptq.damp_percent 0");
    row(R"({"reconstruction":{"divisor":"sum"}})", "choose one of exp, product");
    row(R"({"awq":{"ratios":0}})", "awq.ratios 0 is not in 1..1000");
    row(R"({"awq":{"clip":"yes"}})", "awq.clip \"yes\"");
    row(R"({"smooth":{"alpha":1.5}})", "smooth.alpha 1.5 is not in 0..1");
    row(R"({"activation":{"scale":"tensor"}})", "needs activation.format int, not none");
    row(R"({"activation":{"format":"int","scale":"tensor","zero_point":"float"}})",
        "use zero_point rounded or none");
    row(R"({"low_rank":{"rank":-1}})", "low_rank.rank -1 is too small");
    row(R"({"low_rank":{"factor_bits":16}})", "low_rank.factor_bits 16");
    row(R"({"activation":{"format":"int","attention":true}})", "needs activation.format mxint");
    row(R"({"kv_cache":{"format":"mxint"}})", "kv_cache.format \"mxint\" is not known");
    row(R"({"kv_cache":{"bits":9}})", "kv_cache.bits 9 is not in 2..8");
    row(R"({"calibration":{"nsamples":0}})", "calibration.nsamples 0");
    row(R"({"evaluation":{"seqlen":1}})", "leaves nothing to predict");
    row(R"({"evaluation":{"seqlen":2,"protocol":"llama.cpp"}})", "it must be at least 3");
    row(R"({"low_rank":{"factor_block":9223372036854775807}})", "low_rank.factor_block 92233");
    row(R"({"activation":{"block_size":9223372036854775807}})", "activation.block_size 92233");
    row(R"({"reconstruction":{"batch_size":65537}})", "batch_size 65537 is not in 1..65536");
    row(R"({"training":{"batch_size":65537}})", "training.batch_size 65537");
    row(R"({"training":{"grad_accum":9223372036854775807}})", "training.grad_accum 92233");
    row(R"({"calibration":{"nsamples":9223372036854775807}})", "calibration.nsamples 92233");
    row(R"({"calibration":{"stat_batch":9223372036854775807}})", "calibration.stat_batch 92233");
    row(R"({"evaluation":{"protocol":"gtpq"}})", "did you mean \"gptq\"?");
    row(R"({"overrides":[{"bits":4}]})", "overrides[0] has no pattern");
    row(R"({"overrides":[{"pattern":"q"}]})", "overrides[0] changes nothing");
    row(R"({"overrides":[{"pattern":"q(","skip":true}]})", "not a usable regular expression");
    row(R"({"overrides":[{"pattern":"q","bits":17}]})", "overrides[0].bits 17");
    row(R"({"seed":-1})", "seed -1");
    row(R"({"device":"gpu"})", "device \"gpu\" is not cpu, cuda or cuda:N");
    row(R"({"artifacts":"kep"})", "did you mean \"keep\"?");
}

void TestRunSpec::refusedSettings()
{
    QFETCH(QString, json);
    QFETCH(QString, part);
    Json full = {{"model", "demo"}};
    full.update(parseJson(json.toStdString(), "test"));
    const RunSpec spec = runSpecFromJson(full);
    const QString said = refusal([&] { validate(spec); });
    QVERIFY2(said.contains(part), qPrintable(said));
    RunSpec good;
    good.model = "demo";
    QCOMPARE(refusal([&] { validate(good); }), QString());
}

void TestRunSpec::laterOverridesWin()
{
    RunSpec spec;
    spec.lowRank.rank = 8;
    spec.overrides = {{"mlp", 8, kPerChannel, {}, {}},
                      {R"(layers\.1\d*\.)", {}, {}, 0, {}},
                      {"down_proj$", 3, {}, {}, {}},
                      {"lm_head", {}, {}, {}, true}};
    const LayerSettings down = settingsFor(spec, "model.layers.10.mlp.down_proj");
    QCOMPARE(down.weight.bits, 3);
    QCOMPARE(down.weight.groupSize, kPerChannel);
    QCOMPARE(down.rank, 0);
    QVERIFY(!down.skip);
    const LayerSettings query = settingsFor(spec, "model.layers.2.self_attn.q_proj");
    QCOMPARE(query.weight.bits, 4);
    QCOMPARE(query.rank, 8);
    QVERIFY(settingsFor(spec, "lm_head").skip);
}

void TestRunSpec::wholeNamesAreMatchedAsExpressionsAre()
{
    RunSpec spec;
    spec.overrides = {{R"(^model\.layers\.1\.mlp$)", 8, {}, {}, {}}, // one layer's whole name
                      {R"(^model.layers.2.mlp$)", 7, {}, {}, {}},    // any letter for a dot
                      {R"(^a\.b+$)", 6, {}, {}, {}}};
    const LayerRules rules(spec);
    QCOMPARE(rules.of("model.layers.1.mlp").weight.bits, 8);
    QCOMPARE(rules.of("modelXlayers.1.mlp").weight.bits, 4);
    QCOMPARE(rules.of("x.model.layers.1.mlp").weight.bits, 4);
    QCOMPARE(rules.of("modelXlayers.2.mlp").weight.bits, 7);
    QCOMPARE(rules.of("a.bbb").weight.bits, 6);
    spec.overrides = {{"q(", 8, {}, {}, {}}};
    QVERIFY(refusal([&] { LayerRules(spec).of("q"); }).contains("not a usable regular"));
}

QTEST_GUILESS_MAIN(TestRunSpec)
#include "tst_run_spec.moc"
