#include "model/hidden_states.h"

#include <ATen/ops/empty.h>

namespace qw {

HiddenStates::HiddenStates(std::int64_t windows, std::int64_t seqlen, std::int64_t width,
                           std::string device, const HiddenStatesPlace& place)
    : m_windows(windows), m_seqlen(seqlen), m_width(width), m_device(std::move(device)),
      m_fileType(place.fileType)
{
    if (place.folder.empty() || bytes() <= place.budgetBytes) {
        m_memory = at::empty({windows, seqlen, width},
                             at::TensorOptions().dtype(at::kFloat).device(m_device));
        return;
    }
    m_file = std::make_unique<ScratchFile>(place.folder, "hidden states");
}

at::Tensor HiddenStates::load(std::int64_t first, std::int64_t count) const
{
    if (!inFile()) {
        return m_memory.narrow(0, first, count);
    }
    at::Tensor states = at::empty({count, m_seqlen, m_width}, m_fileType);
    m_file->read(first * windowBytes(), states.data_ptr(), count * windowBytes());
    return states.to(m_device, at::kFloat);
}

void HiddenStates::store(std::int64_t first, const at::Tensor& states)
{
    if (!inFile()) {
        m_memory.narrow(0, first, states.size(0)).copy_(states);
        return;
    }
    const at::Tensor host = states.to(at::kCPU, m_fileType).contiguous();
    m_file->write(first * windowBytes(), host.data_ptr(), static_cast<std::int64_t>(host.nbytes()));
}

} // namespace qw
