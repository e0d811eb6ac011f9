#include "model/block_title.h"

#include "base/error.h"
#include "model/checkpoint.h"

namespace qw {

std::string blockTitle(const Checkpoint& checkpoint, std::int64_t index)
{
    const std::string title = message("block ", index + 1, " of ", checkpoint.config().layers);
    const auto linears = checkpoint.linearsOf(index);
    const std::string number = message(".", index, ".");
    const auto end = linears.empty() ? std::string::npos : linears.front().name.find(number);
    return end == std::string::npos
               ? title
               : title + " (" + linears.front().name.substr(0, end + number.size() - 1) + ")";
}

} // namespace qw
