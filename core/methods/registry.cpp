#include <vector>

#include "base/error.h"
#include "base/json_io.h"
#include "methods/builtin.h"

namespace qw {

std::span<const std::unique_ptr<QuantMethod>> builtinMethods()
{
    static const std::vector<std::unique_ptr<QuantMethod>> kMethods = [] {
        std::vector<std::unique_ptr<QuantMethod>> methods;
        methods.push_back(makeRtn());
        methods.push_back(makeLqer());
        methods.push_back(makeL2qer());
        methods.push_back(makeQeraApprox());
        methods.push_back(makeQeraExact());
        methods.push_back(makeGptq());
        methods.push_back(makeAwq());
        methods.push_back(makeSmoothQuant());
        methods.push_back(makeFlexRound());
        methods.push_back(makeLrq());
        methods.push_back(makeLrQat());
        methods.push_back(makeLsq());
        methods.push_back(makePeqa());
        return methods;
    }();
    return kMethods;
}

const QuantMethod& findMethod(const std::string& id)
{
    std::vector<std::string> known;
    for (const auto& method : builtinMethods()) {
        if (method->info().id == id) {
            return *method;
        }
        known.push_back(method->info().id);
    }
    std::string list;
    for (const std::string& name : known) {
        list += (list.empty() ? "" : ", ") + name;
    }
    const std::string nearest = nearestName(id, known);
    throw Error(ErrorCode::BadInput,
                message("unknown method \"", id, "\"; these are built in: ", list,
                        nearest.empty() ? "" : " (did you mean \"" + nearest + "\"?)"));
}

} // namespace qw
