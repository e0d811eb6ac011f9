#include "run/shared_work.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>

#include "base/error.h"
#include "base/files.h"

namespace qw {

bool PathKey::operator==(const PathKey& other) const
{
    return model == other.model && device == other.device && type == other.type &&
           statBatch == other.statBatch && ids.defined() == other.ids.defined() &&
           (!ids.defined() || at::equal(ids, other.ids));
}

bool SharedWork::hasRoom(std::int64_t bytes) const
{
    const std::int64_t held = m_fileSize + (m_reference ? m_reference->states.bytes() : 0);
    return held + bytes < (freeBytes(m_folder) + held) / 2;
}

void SharedWork::beginCalibration(PathKey key)
{
    if (!(key == m_calibration)) {
        m_calibration = std::move(key);
        m_blocks.clear();
        m_file.reset();
        m_fileSize = 0;
    }
}

void SharedWork::keep(std::int64_t block, const BlockStatistics& statistics)
{
    KeptBlock groups;
    std::int64_t end = m_fileSize;
    for (const auto& [group, collected] : statistics) {
        Kept& kept = groups.emplace(group, Kept{*collected, {}, end}).first->second;
        for (at::Tensor* tensor : kept.rest.tensors()) {
            if (tensor->defined()) {
                end += static_cast<std::int64_t>(tensor->nbytes());
            }
        }
    }
    try {
        if (!hasRoom(end - m_fileSize)) {
            return;
        }
        write(groups);
    } catch (const Error&) { // they can be found again
        if (m_file) {
            m_file->cutAt(m_fileSize);
        }
        return;
    }
    m_fileSize = end;
    m_blocks[block] = std::move(groups);
}

void SharedWork::write(KeptBlock& groups)
{
    if (!m_file) {
        m_file = std::make_unique<ScratchFile>(m_folder, "statistics");
    }
    for (auto& [group, kept] : groups) {
        std::int64_t at = kept.place;
        for (at::Tensor* tensor : kept.rest.tensors()) {
            Form& form = kept.forms.emplace_back();
            if (!tensor->defined()) {
                continue;
            }
            form = {true, tensor->sizes().vec(), tensor->scalar_type()};
            const at::Tensor host = tensor->cpu().contiguous();
            m_file->write(at, host.data_ptr(), static_cast<std::int64_t>(host.nbytes()));
            at += static_cast<std::int64_t>(host.nbytes());
            *tensor = at::Tensor();
        }
    }
}

BlockStatistics SharedWork::statistics(std::int64_t block) const
{
    BlockStatistics result;
    for (const auto& [group, kept] : m_blocks.at(block)) {
        auto copy = std::make_unique<InputStatistics>(kept.rest);
        std::int64_t at = kept.place;
        std::size_t i = 0;
        for (at::Tensor* tensor : copy->tensors()) {
            const Form& form = kept.forms[i++];
            if (!form.defined) {
                continue;
            }
            const at::Tensor host = at::empty(form.sizes, form.type);
            m_file->read(at, host.data_ptr(), static_cast<std::int64_t>(host.nbytes()));
            at += static_cast<std::int64_t>(host.nbytes());
            *tensor = host.to(m_calibration.device);
        }
        result[group] = std::move(copy);
    }
    return result;
}

ReferenceStates* SharedWork::reference(PathKey key, std::int64_t width)
{
    if (!(key == m_evaluation)) {
        m_reference.reset();
        m_evaluation = std::move(key);
        const std::int64_t windows = m_evaluation.ids.size(0);
        const std::int64_t seqlen = m_evaluation.ids.size(1);
        try {
            if (hasRoom(windows * seqlen * width * std::int64_t{4})) {
                m_reference.emplace(ReferenceStates{
                    HiddenStates(windows, seqlen, width, m_evaluation.device, {0, m_folder}),
                    false});
            }
        } catch (const Error&) { // they can be found again
        }
    }
    return m_reference ? &*m_reference : nullptr;
}

} // namespace qw
