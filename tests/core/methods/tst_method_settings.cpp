#include <QtTest>

#include "engine.h"
#include "report/method_settings.h"
#include "report/run_spec.h"

using namespace qw;

namespace {
/// A method looks at these although its form does not show them.
bool looksAtHidden(const MethodDescription& method, const std::string& setting)
{
    return setting == "low_rank.correction" ||
           (setting == "low_rank.factor_block" && method.lowRank) ||
           (setting == "reconstruction.without" && method.id == "flexround") ||
           ((setting == "training.recompute" || setting == "training.save_every") &&
            trainsModel(method.id));
}
} // namespace

/// What is said without a method at hand is what the methods say of themselves.
class TestMethodSettings : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void agreeWithTheParamSpecs_data()
    {
        QTest::addColumn<int>("index");
        const std::vector<MethodDescription> methods = describeMethods();
        for (std::size_t i = 0; i < methods.size(); ++i) {
            QTest::newRow(methods[i].id.c_str()) << static_cast<int>(i);
        }
    }
    void agreeWithTheParamSpecs()
    {
        QFETCH(int, index);
        const MethodDescription method = describeMethods().at(static_cast<std::size_t>(index));
        const Json spec = toJson(RunSpec{});
        for (const char* section :
             {"low_rank", "reconstruction", "training", "gptq", "awq", "smooth"}) {
            for (const auto& entry : spec.at(section).items()) {
                const std::string setting = std::string(section) + "." + entry.key();
                // A key without a section is of the low-rank correction, unless of the weights.
                const bool plain =
                    std::string(section) == "low_rank" && !spec.at("weight").contains(entry.key());
                const bool shown = std::any_of(
                    method.params.begin(), method.params.end(), [&](const ParamSpec& param) {
                        return param.key == setting || (plain && param.key == entry.key());
                    });
                QVERIFY2(looksAt(method.id, "none", setting) ==
                             (shown || looksAtHidden(method, setting)),
                         setting.c_str());
            }
        }
    }

    void theRestIsForAll()
    {
        for (const char* setting :
             {"weight.bits", "activation.format", "calibration.text", "seed"}) {
            QVERIFY2(methodsWith(setting).empty() && looksAt("rtn", "none", setting), setting);
        }
    }

    void correctionsHaveTheirs()
    {
        QVERIFY(looksAt("gptq", "lqer", "low_rank.solver"));
        QVERIFY(!looksAt("gptq", "lqer", "low_rank.statistic"));
        QVERIFY(looksAt("gptq", "l2qer", "low_rank.statistic"));
        QVERIFY(!looksAt("rtn", "l2qer", "gptq.act_order"));
    }

    void whatIsNotLookedAtIsNoWish()
    {
        RunSpec spec;
        spec.method = "lrq";
        spec.lowRank.rank = 32;
        spec.gptq.actOrder = true;
        spec.training.text = "demo:calibration";
        spec.reconstruction.iterations = 60;
        spec.weight.bits = 3;
        spec.seed = 7;
        RunSpec used;
        used.method = "lrq";
        used.reconstruction.iterations = 60;
        used.weight.bits = 3;
        used.seed = 7;
        QVERIFY(withoutUnused(spec) == used);
        spec.lowRank.correction = used.lowRank.correction = "lqer"; // which has a rank
        used.lowRank.rank = 32;
        QVERIFY(withoutUnused(spec) == used);
        spec.method = "imported"; // made elsewhere, of what is not known
        QVERIFY(withoutUnused(spec) == spec);
    }
};

QTEST_GUILESS_MAIN(TestMethodSettings)
#include "tst_method_settings.moc"
