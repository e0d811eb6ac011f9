#pragma once

#include <filesystem>
#include <utility>

#include <QtGlobal>
#include <unistd.h>

namespace qw::test {

/// A folder that cannot be written to while this lives, not even by the superuser, whom file modes
/// do not bind: he is another user meanwhile.
class ReadOnlyFolder
{
public:
    explicit ReadOnlyFolder(std::filesystem::path folder) : m_folder(std::move(folder))
    {
        std::filesystem::permissions(m_folder, std::filesystem::perms(0555));
        if (::geteuid() == 0 && ::seteuid(65534) != 0) {
            qFatal("cannot become another user");
        }
    }
    ~ReadOnlyFolder()
    {
        if (::getuid() == 0 && ::seteuid(0) != 0) {
            qFatal("cannot become the superuser again");
        }
        std::filesystem::permissions(m_folder, std::filesystem::perms(0755));
    }
    ReadOnlyFolder(const ReadOnlyFolder&) = delete;
    ReadOnlyFolder& operator=(const ReadOnlyFolder&) = delete;

private:
    std::filesystem::path m_folder;
};

} // namespace qw::test
