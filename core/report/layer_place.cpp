#include "report/layer_place.h"

#include <algorithm>
#include <vector>

namespace qw {

namespace {
/// Path components of a module name: {"model", "layers", "0", "mlp", "up_proj"}.
std::vector<std::string> pathOf(const std::string& name)
{
    std::vector<std::string> parts(1);
    for (const char c : name) {
        if (c == '.') {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

bool isNumber(const std::string& text)
{
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}
} // namespace

LayerPlace placeOf(const std::string& layer)
{
    LayerPlace place;
    for (const std::string& part : pathOf(layer)) {
        if (place.block.empty() && isNumber(part)) {
            place.block = part;
            place.kind.clear();
        } else {
            place.kind += (place.kind.empty() ? "" : ".") + part;
        }
    }
    return place;
}

} // namespace qw
