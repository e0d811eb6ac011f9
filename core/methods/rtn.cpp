#include "methods/builtin.h"
#include "methods/method_params.h"
#include "methods/settings.h"

namespace qw {

namespace {
class Rtn final : public LayerMethod
{
public:
    const MethodInfo& info() const override
    {
        static const MethodInfo kInfo = {
            "rtn",          "Round to nearest",
            "baseline",     "Rounds each weight to the nearest point of its grid.",
            weightParams(), false,
            false};
        return kInfo;
    }
    StatisticsNeeds needs(const RunSpec& /*spec*/) const override { return {}; }
    LayerOutcome quantize(const LayerTask& task, const RunContext& run) const override
    {
        LayerOutcome outcome;
        outcome.linear = roundToNearest(task.name, task.weight, weightFormat(task.settings.weight),
                                        gridOptions(task.settings.weight), run);
        return outcome;
    }
};
} // namespace

std::unique_ptr<LayerMethod> makeRtn()
{
    return std::make_unique<Rtn>();
}

} // namespace qw
