#include "app/gui/settings.h"

#include <map>

#include <QCoreApplication>
#include <QSettings>
#include <QThread>

#include "base/error.h"

namespace qw {

namespace {
constexpr int kMaxRecent = 12;

struct Entry {
    QString name;
    QVariant fallback;
};

const std::map<Settings::Key, Entry>& table()
{
    using Key = Settings::Key;
    using namespace Qt::Literals::StringLiterals;
    static const std::map<Key, Entry> kTable = {
        {Key::Theme, {u"look/theme"_s, u"desktop"_s}},
        {Key::StoreFile, {u"run/storeFile"_s, QString()}},
        {Key::Threads, {u"run/threads"_s, 0}},
        {Key::Notify, {u"run/notify"_s, true}},
        {Key::RecentModels, {u"session/recentModels"_s, QStringList()}},
        {Key::LastModel, {u"session/model"_s, QString()}},
        {Key::LastRun, {u"session/run"_s, QString()}},
        {Key::LastLayer, {u"session/layer"_s, QString()}},
        {Key::LastMode, {u"session/mode"_s, 0}},
        {Key::LastDraft, {u"session/draft"_s, QString()}},
        {Key::LastPreset, {u"session/preset"_s, QString()}},
        {Key::Queue, {u"session/queue"_s, QString()}},
        {Key::ReopenModel, {u"session/reopenModel"_s, true}},
        {Key::WindowGeometry, {u"window/geometry"_s, QByteArray()}},
        {Key::WindowState, {u"window/state"_s, QByteArray()}},
        {Key::LayerColumns, {u"window/layerColumns"_s, QVariantMap()}},
        {Key::RunColumns, {u"window/runColumns"_s, QByteArray()}},
        {Key::InspectSplitters, {u"window/inspectSplitters"_s, QVariantList()}},
        {Key::CompareSplitter, {u"window/compareSplitter"_s, QByteArray()}},
        {Key::CompareViews, {u"window/compareViews"_s, QVariantMap()}},
        {Key::RunFilter, {u"session/runFilter"_s, QString()}},
        {Key::TickedRuns, {u"session/tickedRuns"_s, QStringList()}},
        {Key::SelectedRuns, {u"session/selectedRuns"_s, QStringList()}},
        {Key::GroupRuns, {u"window/groupRuns"_s, false}},
        {Key::LayerSort, {u"window/layerSort"_s, QVariantList()}},
        {Key::QueueDetails, {u"window/queueDetails"_s, QVariantList()}},
        {Key::ExportFolder, {u"session/exportFolder"_s, QString()}},
    };
    return kTable;
}
} // namespace

Settings::Settings(const QString& file)
    : m_file(file.isEmpty()
                 ? std::make_unique<QSettings>(QSettings::IniFormat, QSettings::UserScope,
                                               QStringLiteral("quant-workbench"),
                                               QStringLiteral("quant-workbench"))
                 : std::make_unique<QSettings>(file, QSettings::IniFormat))
{
}

Settings::~Settings() = default;

QVariant Settings::value(Key key) const
{
    QW_ASSERT(QThread::currentThread() == QCoreApplication::instance()->thread());
    const Entry& entry = table().at(key);
    return m_file->value(entry.name, entry.fallback);
}

void Settings::set(Key key, const QVariant& value)
{
    QW_ASSERT(QThread::currentThread() == QCoreApplication::instance()->thread());
    m_file->setValue(table().at(key).name, value);
}

void Settings::flush()
{
    m_file->sync();
}

void Settings::rememberModel(const QString& model)
{
    QStringList recent = list(Key::RecentModels);
    recent.removeAll(model);
    recent.prepend(model);
    set(Key::RecentModels, recent.mid(0, kMaxRecent));
}

void Settings::forgetModel(const QString& model)
{
    QStringList recent = list(Key::RecentModels);
    recent.removeAll(model);
    set(Key::RecentModels, recent);
}

} // namespace qw
