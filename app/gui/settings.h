#pragma once

#include <memory>

#include <QByteArray>
#include <QString>
#include <QStringList>
#include <QVariant>

class QSettings;

namespace qw {

/// All that is remembered between starts. One table in settings.cpp gives names and defaults; used
/// on the GUI thread only, jobs get values.
class Settings
{
public:
    enum class Key {
        Theme,        ///< "desktop" | "light" | "dark"
        StoreFile,    ///< empty: the default place
        Threads,      ///< 0: all physical cores
        Notify,       ///< system notification when a run is done
        RecentModels, ///< newest first
        LastModel,    ///< opened again at the next start
        LastRun,      ///< run in view
        LastLayer,
        LastMode,
        LastDraft,      ///< the form of the Quantize page, a run spec as JSON
        LastPreset,     ///< title of the preset the form is compared with
        Queue,          ///< unfinished runs, as JSON
        ReopenModel,    ///< whether LastModel is opened at start
        WindowGeometry, ///< bytes of Qt's own formats from here on
        WindowState,
        LayerColumns, ///< per what the tree shows, the columns hidden
        RunColumns,
        InspectSplitters,
        CompareSplitter,
        CompareViews, ///< the tab in front and what its plots measure, by object name
        RunFilter,    ///< what is typed above the runs
        TickedRuns,   ///< ids
        SelectedRuns, ///< ids
        GroupRuns,    ///< whether runs of one model stand together
        LayerSort,    ///< column and order of the layer tree
        QueueDetails, ///< whether they are shown, and their splitters
        ExportFolder, ///< the last model was exported into; empty: the user's home
    };

    /// @param file  an INI file; empty: the user's
    explicit Settings(const QString& file = {});
    ~Settings();
    Settings(const Settings&) = delete;
    Settings& operator=(const Settings&) = delete;

    QVariant value(Key key) const;
    QString text(Key key) const { return value(key).toString(); }
    int number(Key key) const { return value(key).toInt(); }
    bool flag(Key key) const { return value(key).toBool(); }
    QStringList list(Key key) const { return value(key).toStringList(); }
    QByteArray bytes(Key key) const { return value(key).toByteArray(); }
    void set(Key key, const QVariant& value);
    /// Writes at once what is otherwise written within seconds: survives being killed.
    void flush();

    /// Puts a model folder in front of the recent ones.
    void rememberModel(const QString& model);
    void forgetModel(const QString& model);

private:
    std::unique_ptr<QSettings> m_file;
};

} // namespace qw
