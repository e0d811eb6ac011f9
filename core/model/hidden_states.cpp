#include "model/hidden_states.h"

#include <cerrno>
#include <cstring>

#include <ATen/ops/empty.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"

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
    m_file = place.folder / message("hidden-states.", ::getpid());
    m_descriptor = ::open(m_file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    QW_REQUIRE(m_descriptor >= 0, ErrorCode::Io, m_file.string(),
               ": the file of hidden states cannot be made: ", std::strerror(errno));
    ::unlink(m_file.c_str()); // lives as long as it is open: a killed run leaves nothing behind
}

HiddenStates::~HiddenStates()
{
    if (m_descriptor >= 0) {
        ::close(m_descriptor);
    }
}

at::Tensor HiddenStates::load(std::int64_t first, std::int64_t count) const
{
    if (!inFile()) {
        return m_memory.narrow(0, first, count);
    }
    at::Tensor states = at::empty({count, m_seqlen, m_width}, m_fileType);
    auto* to = static_cast<char*>(states.data_ptr());
    const std::int64_t size = count * windowBytes();
    for (std::int64_t done = 0; done < size;) {
        const ssize_t got = ::pread(m_descriptor, to + done, static_cast<std::size_t>(size - done),
                                    first * windowBytes() + done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        QW_REQUIRE(got > 0, ErrorCode::Io, m_file.string(), ": reading hidden states failed: ",
                   got < 0 ? std::strerror(errno) : "the file is too short");
        done += got;
    }
    return states.to(m_device, at::kFloat);
}

void HiddenStates::store(std::int64_t first, const at::Tensor& states)
{
    if (!inFile()) {
        m_memory.narrow(0, first, states.size(0)).copy_(states);
        return;
    }
    const at::Tensor host = states.to(at::kCPU, m_fileType).contiguous();
    const auto* from = static_cast<const char*>(host.data_ptr());
    const auto size = static_cast<std::int64_t>(host.nbytes());
    for (std::int64_t done = 0; done < size;) {
        const ssize_t written =
            ::pwrite(m_descriptor, from + done, static_cast<std::size_t>(size - done),
                     first * windowBytes() + done);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        QW_REQUIRE(written > 0, ErrorCode::Io, m_file.string(),
                   ": writing hidden states failed: ", std::strerror(errno));
        done += written;
    }
}

} // namespace qw
