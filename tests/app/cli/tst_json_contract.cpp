#include "support/qw_process.h"

#include <QJsonArray>
#include <QtTest>

#include <cmath>

using qw::test::QwOutcome;
using qw::test::QwProgram;

namespace {
const QString kData = QStringLiteral(" --calibration demo:calibration --nsamples 2 "
                                     "--calibration-seqlen 32 --text demo:evaluation --seqlen 32 "
                                     "--windows 3 --threads 1 --json");

/// The type a program that reads the object may rely on.
QString typeOf(const QJsonValue& value)
{
    if (value.isDouble()) {
        const double number = value.toDouble();
        return number == std::floor(number) && std::abs(number) < 1e15 ? "integer" : "number";
    }
    return value.isString()  ? "string"
           : value.isArray() ? "array"
           : value.isNull()  ? "null"
                             : "another";
}

/// Names the first key that is missing or of another type; empty if all is well.
QString deviation(const QJsonObject& object, const QList<QPair<QString, QString>>& promised)
{
    for (const auto& [key, type] : promised) {
        if (!object.contains(key)) {
            return key + " is missing";
        }
        const QString found = typeOf(object[key]);
        if (found != type && !(type == "number" && found == "integer")) {
            return key + " is " + found + ", not " + type;
        }
    }
    return {};
}

const QList<QPair<QString, QString>> kRunKeys = {{"id", "string"},
                                                 {"method", "string"},
                                                 {"format", "string"},
                                                 {"bits", "integer"},
                                                 {"group_size", "integer"},
                                                 {"rank", "integer"},
                                                 {"bits_per_weight", "number"},
                                                 {"bytes", "integer"},
                                                 {"bytes_original", "integer"},
                                                 {"perplexity", "number"},
                                                 {"nll", "number"},
                                                 {"nll_stderr", "number"},
                                                 {"fp_perplexity", "number"},
                                                 {"fp_nll", "number"},
                                                 {"delta_nll", "number"},
                                                 {"delta_nll_stderr", "number"},
                                                 {"kl_mean", "number"},
                                                 {"top1_agreement", "number"},
                                                 {"seconds", "number"},
                                                 {"peak_rss_bytes", "integer"},
                                                 {"substitutions", "array"}};

QJsonObject withoutLayers(QJsonObject run)
{
    for (const char* key : {"layers", "blocks", "training", "spec", "provenance", "phases"}) {
        run.remove(key);
    }
    return run;
}

const QList<QPair<QString, QString>> kLayerKeys = {
    {"name", "string"},    {"rows", "integer"},          {"cols", "integer"},
    {"rank", "integer"},   {"weight_error", "number"},   {"output_error", "number"},
    {"sqnr_db", "number"}, {"bits_per_weight", "number"}};
} // namespace

/// The objects others script against: every promised key, its type and its meaning.
class TestJsonContract : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void eval();
    void evalLlamaCpp();
    void run();
    void runIsStored();
    void evalOfARun();
    void missingNumbersAreNull();
    void groupSizeNames_data();
    void groupSizeNames();
    void rankWithoutCorrection();
    void learnedRounding();
    void rankRules_data();
    void rankRules();
    void training();
    void adjustSaysSo();
    void adjustBlockSaysSo();
    void kvCache();
    void specFile();
    void sweep();
    void estimate();
    void inspect();
    void generate();

private:
    QJsonObject listed(const QString& id) const;

    QwProgram m_qw;
    QJsonObject m_run;
};

void TestJsonContract::eval()
{
    const QwOutcome outcome =
        m_qw.run("eval demo --text demo:evaluation --seqlen 32 --windows 3 --threads 1 --json");
    QCOMPARE(outcome.status, 0);
    const QJsonObject json = outcome.json();
    QCOMPARE(deviation(json, {{"perplexity", "number"},
                              {"nll", "number"},
                              {"nll_stderr", "number"},
                              {"tokens", "integer"},
                              {"windows", "integer"},
                              {"seqlen", "integer"},
                              {"protocol", "string"},
                              {"seconds", "number"},
                              {"tokens_per_second", "number"},
                              {"peak_rss_bytes", "integer"}}),
             QString());
    QCOMPARE(json["tokens"].toInt(), 3 * 31);
    QCOMPARE(json["windows"].toInt(), 3);
    QCOMPARE(json["seqlen"].toInt(), 32);
    QCOMPARE(json["protocol"].toString(), "gptq");
    QCOMPARE(json["perplexity"].toDouble(), std::exp(json["nll"].toDouble()));
    QVERIFY(outcome.err.contains("evaluate")); // progress goes there
}

void TestJsonContract::evalLlamaCpp()
{
    const QJsonObject json = m_qw.run("eval demo --text demo:evaluation --protocol llama.cpp "
                                      "--windows 1 --threads 1 --json")
                                 .json();
    QCOMPARE(json["protocol"].toString(), "llama.cpp");
    QCOMPARE(json["seqlen"].toInt(), 512);
}

void TestJsonContract::run()
{
    const QwOutcome outcome =
        m_qw.run("run demo --method l2qer --bits 3 --group-size 64 --rank 4" + kData);
    QCOMPARE(outcome.status, 0);
    m_run = outcome.json();
    QCOMPARE(deviation(m_run, kRunKeys), QString());
    QCOMPARE(m_run["method"].toString(), "l2qer");
    QCOMPARE(m_run["format"].toString(), "int");
    QCOMPARE(m_run["bits"].toInt(), 3);
    QCOMPARE(m_run["group_size"].toInt(), 64);
    QCOMPARE(m_run["rank"].toInt(), 4);
    QVERIFY(outcome.err.contains("run " + m_run["id"].toString())); // said before work starts
    QVERIFY(m_run["bits_per_weight"].toDouble() > 3);
    QVERIFY(m_run["bytes"].toDouble() < m_run["bytes_original"].toDouble());
    QCOMPARE(m_run["perplexity"].toDouble(), std::exp(m_run["nll"].toDouble()));
    QVERIFY(std::abs(m_run["nll"].toDouble() - m_run["fp_nll"].toDouble() -
                     m_run["delta_nll"].toDouble()) < 1e-9);
    QVERIFY(m_run["kl_mean"].toDouble() > 0);
    QVERIFY(m_run["top1_agreement"].toDouble() > 0 && m_run["top1_agreement"].toDouble() <= 1);
    const QJsonArray layers = m_run["layers"].toArray();
    QCOMPARE(layers.size(), 35);
    for (const QJsonValue& value : layers) {
        const QJsonObject layer = value.toObject();
        QCOMPARE(deviation(layer, kLayerKeys), QString());
        QVERIFY(layer["name"].toString().startsWith("model.layers."));
        const double decibels = -20 * std::log10(layer["output_error"].toDouble());
        QVERIFY(std::abs(layer["sqnr_db"].toDouble() - decibels) < 1e-9);
    }
}

void TestJsonContract::runIsStored()
{
    const QString id = m_run["id"].toString();
    QJsonObject shown = m_qw.run("runs show " + id + " --json").json();
    QCOMPARE(shown, m_run);
    const QJsonArray runs = m_qw.run("runs list --json").json()["runs"].toArray();
    QCOMPARE(runs.size(), 1);
    QCOMPARE(deviation(runs.first().toObject(), kRunKeys), QString());
    QCOMPARE(listed(id), withoutLayers(m_run));
}

/// The run as qw runs list has it, less what only a list says.
QJsonObject TestJsonContract::listed(const QString& id) const
{
    QJsonObject found;
    for (const QJsonValue& run : m_qw.run("runs list --json").json()["runs"].toArray()) {
        found = run["id"].toString() == id ? run.toObject() : found;
    }
    found.remove("tags");
    found.remove("notes");
    return found;
}

void TestJsonContract::evalOfARun()
{
    const QJsonObject json = m_qw.run("eval demo --run " + m_run["id"].toString() +
                                      " --text demo:evaluation --seqlen 32 --windows 3 "
                                      "--threads 1 --json")
                                 .json();
    QCOMPARE(json["nll"].toDouble(), m_run["nll"].toDouble());
    QCOMPARE(json["fp_nll"].toDouble(), m_run["fp_nll"].toDouble());
    QCOMPARE(json["kl_mean"].toDouble(), m_run["kl_mean"].toDouble());
    // In those seconds both models read the windows.
    QCOMPARE(std::lround(json["tokens_per_second"].toDouble() * json["seconds"].toDouble()),
             2L * 3 * 32);
}

void TestJsonContract::missingNumbersAreNull()
{
    const QJsonObject json = m_qw.run("run demo --threads 1 --json --artifacts discard").json();
    for (const char* key : {"perplexity", "nll", "nll_stderr", "fp_perplexity", "fp_nll",
                            "delta_nll", "delta_nll_stderr", "kl_mean", "top1_agreement"}) {
        QVERIFY2(json[key].isNull(), key);
    }
    const QJsonObject layer = json["layers"].toArray().first().toObject();
    QVERIFY(layer["output_error"].isNull());
    QVERIFY(layer["sqnr_db"].isNull());
    QCOMPARE(typeOf(layer["weight_error"]), "number");
    // Defaults: rtn, int, 4 bits, groups of 128, asymmetric: 4 + (16 + 4) / 128 bits.
    QCOMPARE(json["method"].toString(), "rtn");
    QCOMPARE(json["bits"].toInt(), 4);
    QCOMPARE(json["group_size"].toInt(), 128);
    QCOMPARE(json["bits_per_weight"].toDouble(), 4 + 20.0 / 128);
}

void TestJsonContract::groupSizeNames_data()
{
    QTest::addColumn<QString>("flags");
    QTest::addColumn<QJsonValue>("expected");
    QTest::newRow("channel") << "--group-size channel" << QJsonValue("channel");
    QTest::newRow("tensor") << "--group-size tensor" << QJsonValue("tensor");
    QTest::newRow("mxint default") << "--format mxint" << QJsonValue(16);
}

void TestJsonContract::groupSizeNames()
{
    QFETCH(QString, flags);
    QFETCH(QJsonValue, expected);
    const QJsonObject json =
        m_qw.run("run demo --threads 1 --json --artifacts discard " + flags).json();
    QCOMPARE(json["group_size"], expected);
}

void TestJsonContract::rankWithoutCorrection()
{
    const QJsonObject json =
        m_qw.run("run demo --method rtn --rank 4 --threads 1 --json --artifacts discard").json();
    QCOMPARE(json["rank"].toInt(), 0); // the deployed one
    QCOMPARE(json["bits_per_weight"].toDouble(), 4 + 20.0 / 128);
    QCOMPARE(json["substitutions"].toArray(),
             QJsonArray{"all 35 layers: rank 0 instead of 4; rtn has no low-rank correction"});
    QCOMPARE(json["layers"].toArray().first().toObject()["rank"].toInt(), 0);
}

void TestJsonContract::learnedRounding()
{
    const QJsonObject json =
        m_qw.run("run demo --method lrq --bits 3 --group-size channel --rank 7 --iters 2 --lr 1e-3 "
                 "--batch-size 1 --calibration demo:calibration --nsamples 2 --calibration-seqlen "
                 "32 --threads 1 --json --artifacts discard")
            .json();
    QCOMPARE(json["rank"].toInt(), 0); // nothing of it is deployed
    QCOMPARE(json["train_rank"].toInt(), 7);
    // Of each layer: a scale and r2 a row, c2 a column, L2 and U2.
    double expected = 0;
    for (const QJsonValue& value : json["layers"].toArray()) {
        const QJsonObject layer = value.toObject();
        const double rows = layer["rows"].toInt();
        const double cols = layer["cols"].toInt();
        expected += 2 * rows + cols + 7 * (rows + cols);
        QCOMPARE(layer["moved_0"].toDouble() + layer["moved_1"].toDouble() +
                     layer["moved_2plus"].toDouble(),
                 1.0);
    }
    QCOMPARE(json["trained_parameters"].toDouble(), expected);
    QCOMPARE(json["blocks"].toArray().size(), 5);
    double trained = 0;
    for (const QJsonValue& value : json["blocks"].toArray()) {
        const QJsonObject block = value.toObject();
        QCOMPARE(deviation(block, {{"block", "integer"},
                                   {"lr", "number"},
                                   {"iterations", "integer"},
                                   {"error_before", "number"},
                                   {"error_after", "number"},
                                   {"trained_parameters", "integer"},
                                   {"seconds", "number"},
                                   {"peak_rss_bytes", "integer"}}),
                 QString());
        QCOMPARE(block["iterations"].toInt(), 2);
        QCOMPARE(block["lr"].toDouble(), 1e-3);
        QVERIFY(block["error_before"].toDouble() > 0 && block["error_after"].toDouble() > 0);
        QVERIFY(block["seconds"].toDouble() > 0 && block["peak_rss_bytes"].toDouble() > 0);
        trained += block["trained_parameters"].toDouble();
    }
    QCOMPARE(trained, expected);
    QCOMPARE(listed(json["id"].toString()), withoutLayers(json));
    const QJsonObject gptq =
        m_qw.run("run demo --method gptq --act-order --true-sequential --static-groups "
                 "--damp-percent 2 --correction lqer --correction-rank 3 --calibration "
                 "demo:calibration --nsamples 2 --calibration-seqlen 32 --threads 1 --json "
                 "--artifacts discard")
            .json();
    QCOMPARE(gptq["rank"].toInt(), 3);
    QCOMPARE(gptq["train_rank"].toInt(), 0);
    const QJsonObject spec = gptq["spec"].toObject();
    QCOMPARE(spec["gptq"].toObject(), (QJsonObject{{"act_order", true},
                                                   {"true_sequential", true},
                                                   {"static_groups", true},
                                                   {"damp_percent", 2}}));
    QCOMPARE(spec["low_rank"].toObject()["correction"].toString(), "lqer");
}

/// By all three rules, of each layer.
void TestJsonContract::rankRules_data()
{
    QTest::addColumn<QString>("flags");
    QTest::addColumn<double>("rho"); // 0: a fixed rank
    QTest::addColumn<int>("rank");
    QTest::newRow("full") << "--rank full" << 0.0 << 0;
    QTest::newRow("official") << "--rank official" << 0.0 << 1024;
    QTest::newRow("relative") << "--rho 0.1" << 0.1 << 0;
    QTest::newRow("usual") << "" << 0.4 << 0;
}

void TestJsonContract::rankRules()
{
    QFETCH(QString, flags);
    QFETCH(double, rho);
    QFETCH(int, rank);
    const QJsonObject json = m_qw.run("run demo --method lrq --iters 1 --calibration "
                                      "demo:calibration --nsamples 1 --calibration-seqlen 32 "
                                      "--threads 1 --json --artifacts discard " +
                                      flags)
                                 .json();
    const QJsonArray layers = json["layers"].toArray();
    QCOMPARE(layers.size(), 35);
    for (const QJsonValue& value : layers) {
        const QJsonObject layer = value.toObject();
        const int rows = layer["rows"].toInt();
        const int cols = layer["cols"].toInt();
        const int expected = rho > 0
                                 ? static_cast<int>(std::lround(rho * rows * cols / (rows + cols)))
                                 : std::min({rank, rows, cols});
        QCOMPARE(layer["train_rank"].toInt(), expected);
    }
    // No rate was asked for: the value taken and where it comes from are told.
    const QString rate = QString::number(json["blocks"].toArray()[0].toObject()["lr"].toDouble());
    bool told = false;
    for (const QJsonValue& note : json["substitutions"].toArray()) {
        told = told || note.toString().startsWith("learning rate " + rate + ": this model is not");
    }
    QVERIFY(told);
}

void TestJsonContract::training()
{
    const QJsonObject json =
        m_qw.run("run demo --method lr-qat --bits 3 --group-size channel --rank 5 --alpha 2 --phi "
                 "int --init zero --train-text demo:calibration --train-seqlen 16 --batch-size 1 "
                 "--grad-accum 2 --steps 2 --lr 1e-3 --lr-scale 1e-5 --warmup 1 --act-points a8kv4 "
                 "--train-compute f32 --threads 1 --json --artifacts discard")
            .json();
    QCOMPARE(json["method"].toString(), "lr-qat");
    QCOMPARE(json["rank"].toInt(), 0); // nothing of it is deployed
    QCOMPARE(json["train_rank"].toInt(), 5);
    double expected = 0; // of each layer a scale a row, A and B
    for (const QJsonValue& value : json["layers"].toArray()) {
        const QJsonObject layer = value.toObject();
        const double rows = layer["rows"].toInt();
        const double cols = layer["cols"].toInt();
        expected += rows + 5 * (rows + cols);
    }
    QCOMPARE(json["trained_parameters"].toDouble(), expected);
    const QJsonObject training = json["training"].toObject();
    QCOMPARE(training["lr"].toDouble(), 1e-3);
    QCOMPARE(training["warmup"].toInt(), 1);
    for (const char* key : {"losses", "rates", "gradient_norms", "tokens_per_second"}) {
        QCOMPARE(training[key].toArray().size(), 2);
        QVERIFY2(training[key].toArray()[1].toDouble() > 0, key);
    }
    QVERIFY(training["validation_perplexities"].toArray()[1].toDouble() > 1);
    QCOMPARE(json["substitutions"].toArray().size(), 2); // all else was said
    QVERIFY(json["substitutions"].toArray()[0].toString().contains("scales are learned"));
    QVERIFY(json["substitutions"].toArray()[1].toString().contains("LR-QAT's recipe has 10000"));
}

void TestJsonContract::adjustSaysSo()
{
    const QJsonObject json =
        m_qw.run("run demo --group-size 100 --adjust --threads 1 --json --artifacts discard")
            .json();
    QCOMPARE(json["substitutions"].toArray().size(), 2); // one for each number of columns
    const QString said = json["substitutions"].toArray().first().toString();
    QCOMPARE(said, "model.layers.0.self_attn.q_proj, model.layers.0.self_attn.k_proj and 28 more: "
                   "group_size 128 instead of 100, which does not divide 256 columns");
    const QString typo = m_qw.run("run demo --skip q_porj --threads 1 --json --artifacts discard")
                             .json()["substitutions"]
                             .toArray()
                             .first()
                             .toString();
    QVERIFY2(typo.contains("\"q_porj\" matches none"), qPrintable(typo));
}

void TestJsonContract::adjustBlockSaysSo()
{
    const QJsonObject json =
        m_qw.run("run demo --format mxint --group-size 20 --adjust --threads 1 "
                 "--json --artifacts discard")
            .json();
    QCOMPARE(json["substitutions"].toArray().size(), 2);
    const QString said = json["substitutions"].toArray().first().toString();
    QVERIFY2(said.contains("group_size 16 instead of 20"), qPrintable(said));
    QCOMPARE(json["bits_per_weight"].toDouble(), 4 + 8.0 / 16);
}

void TestJsonContract::kvCache()
{
    const QString line = "run demo --bits 8 --artifacts discard" + kData;
    const QJsonObject plain = m_qw.run(line).json();
    QCOMPARE(plain["kv_format"].toString(), "none");
    const QJsonObject rough = m_qw.run(line + " --kv-bits 2").json();
    QCOMPARE(rough["kv_format"].toString(), "int");
    QCOMPARE(rough["kv_bits"].toInt(), 2);
    QVERIFY(rough["kl_mean"].toDouble() > plain["kl_mean"].toDouble());
    const QJsonArray runs = m_qw.run("sweep demo --bits 8 --artifacts discard --kv-bits 2" + kData)
                                .json()["runs"]
                                .toArray();
    QCOMPARE(runs.size(), 1);
    QCOMPARE(runs.first()["kl_mean"], rough["kl_mean"]);
    const QwOutcome completion = m_qw.run("completion bash");
    QVERIFY(completion.out.contains("--kv-bits"));
}

void TestJsonContract::specFile()
{
    m_qw.write("spec.json", R"({"model": "demo", "weight": {"bits": 5}, "artifacts": "discard"})");
    const QJsonObject json = m_qw.run("run spec.json --threads 1 --json").json();
    QCOMPARE(json["bits"].toInt(), 5);
}

void TestJsonContract::sweep()
{
    const QwOutcome outcome =
        m_qw.run("sweep demo --methods rtn,lqer --bits 3 --ranks 0,4,8" + kData);
    QCOMPARE(outcome.status, 0);
    const QJsonArray runs = outcome.json()["runs"].toArray();
    QCOMPARE(runs.size(), 4); // RTN has no rank: once
    QStringList points;
    for (const QJsonValue& value : runs) {
        const QJsonObject object = value.toObject();
        QCOMPARE(deviation(object, kRunKeys), QString());
        QCOMPARE(object["layers"].toArray().size(), 35);
        points.append(object["method"].toString() + QString::number(object["rank"].toInt()));
    }
    QCOMPARE(points, QStringList({"rtn0", "lqer0", "lqer4", "lqer8"}));
}

void TestJsonContract::estimate()
{
    const QJsonObject predicted =
        m_qw.run("estimate demo --method l2qer --bits 3 --group-size 64 --rank 4" + kData).json();
    QCOMPARE(predicted["bytes"], m_run["bytes"]); // exact
    QCOMPARE(predicted["bits_per_weight"], m_run["bits_per_weight"]);
    QCOMPARE(deviation(predicted, {{"peak_rss_bytes", "integer"}, {"seconds", "number"}}),
             QString());
}

void TestJsonContract::inspect()
{
    const QJsonObject model = m_qw.run("inspect demo --json").json();
    QCOMPARE(model["architecture"].toString(), "llama");
    QCOMPARE(model["layers"].toArray().size(), 35);
    const QJsonObject spectra =
        m_qw.run("inspect demo --layer model.layers.0.self_attn.k_proj --spectrum --bits 3 "
                 "--threads 1 --json")
            .json();
    const QJsonArray curves = spectra["curves"].toArray();
    QCOMPARE(curves.size(), 2);
    QCOMPARE(curves.first().toObject()["values"].toArray().size(), 128);
}

void TestJsonContract::generate()
{
    const QString line = "generate demo --prompt The --tokens 4 --temperature 1 --seed 3 "
                         "--threads 1 --json";
    const QJsonObject json = m_qw.run(line).json();
    QCOMPARE(json["prompt"].toString(), "The");
    QVERIFY(!json["text"].toString().isEmpty());
    QCOMPARE(m_qw.run(line).json(), json); // seeded
    const QJsonObject next = m_qw.run(QString(line).replace("--seed 3", "--seed 4")).json();
    QVERIFY(next["text"] != json["text"]);
    const QJsonObject both = m_qw.run(line + " --samples 2 --batch-size 1").json();
    QCOMPARE(both["text"], json["text"]);
    const QJsonArray samples = both["samples"].toArray();
    QCOMPARE(samples.size(), 2);
    const QJsonObject second = samples[1].toObject();
    QCOMPARE(deviation(second, {{"seed", "integer"}, {"text", "string"}, {"tokens", "integer"}}),
             QString());
    QVERIFY(second["ended"].isBool());
    QCOMPARE(second["seed"].toInt(), 4);
    QCOMPARE(second["text"], next["text"]);
}

QTEST_GUILESS_MAIN(TestJsonContract)
#include "tst_json_contract.moc"
