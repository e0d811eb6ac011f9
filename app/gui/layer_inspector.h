#pragma once

#include <map>
#include <optional>

#include <QObject>
#include <QRectF>
#include <QSize>

#include "app/gui/background.h"
#include "app/gui/engine_calls.h"

namespace qw {

class AppState;

/// Asks the engine for what the Inspect page draws of the selected layer, in the format of the run
/// in view, or of the draft if there is none. Answers come back one by one; those of a layer left
/// behind are dropped.
class LayerInspector : public QObject
{
    Q_OBJECT
public:
    explicit LayerInspector(AppState& state, QObject* parent = nullptr);

    /// Only an active inspector asks; becoming active catches up.
    void setActive(bool active);
    void setMap(LayerViewRequest::Map map);
    /// Part of the matrix to show in detail; empty: all.
    void setArea(const QRectF& area);

    LayerViewRequest::Map map() const { return m_map; }
    const std::optional<LayerSpectra>& spectra() const { return m_spectra; }
    /// Of the layer asked for last that was answered: see viewIsCurrent().
    const std::optional<LayerView>& view() const { return m_view; }
    /// Whether view() is of the selected layer, run and format, not of what was shown before.
    bool viewIsCurrent() const { return m_view && m_viewKey == viewKey(); }
    /// What view() maps: Error in place of ScaledError while the input channels are unknown.
    LayerViewRequest::Map shownMap() const { return m_shownMap; }
    /// Of the layer's input, or nullptr while unknown.
    const ChannelStatistics* channels(const QString& layer) const;
    const std::vector<ChannelStatistics>& allChannels() const { return m_channels; }
    /// Bytes of all layers as the draft says, without corrections; unknown while a run is in view.
    std::optional<std::int64_t> plainBytes() const { return m_plainBytes; }
    /// The spec the answers are made for.
    RunSpec spec() const;
    bool spectraBusy() const { return m_spectraWorker.busy(); }
    bool channelsBusy() const { return m_channelsWorker.busy(); }
    /// Of the pass that measures the channels.
    const Progress& channelsProgress() const { return m_channelsProgress; }
    /// Why the pass ended before its time; empty: it did not.
    QString channelsProblem() const { return m_channelsProblem; }
    void cancelChannels(); ///< by the user: not asked again before measureChannels()
    void measureChannels();
    QString problem() const { return m_problem; } ///< of the last question that failed

Q_SIGNALS:
    void spectraChanged();
    void viewChanged();
    void channelsChanged();
    void channelsProgressed();
    void plainBytesKnown();
    void problemChanged();

private:
    void modelChanged();
    void ask();
    void askSpectra();
    void askView();
    void askChannels();
    void askPlainBytes();
    void stopChannels(const QString& why);
    QString channelsKey(const RunSpec& spec) const;
    QString spectraKey(const RunSpec& spec) const;
    QString viewKey() const;

    AppState& m_state;
    bool m_active = false;
    LayerViewRequest::Map m_map = LayerViewRequest::Map::Weight;
    QRectF m_area;
    QSize m_shape; // of the layer that m_area is of
    std::optional<LayerSpectra> m_spectra;
    std::optional<LayerView> m_view;
    QString m_viewKey;
    LayerViewRequest::Map m_shownMap = LayerViewRequest::Map::Weight;
    std::vector<ChannelStatistics> m_channels;
    std::map<QString, std::size_t> m_channelsOf; // layer -> place in m_channels
    QString m_channelsKey;     // model and calibration they belong to; empty: not all are known
    QString m_channelsAsked;   // the key of the pass at work
    QString m_channelsStopped; // the key of a pass that failed or was cancelled
    QString m_channelsProblem;
    Progress m_channelsProgress;
    std::map<QString, LayerSpectra> m_cache; // whole answers, by spectraKey()
    QString m_problem;
    std::optional<std::int64_t> m_plainBytes;
    QString m_plainKey; // what they are asked for
    Background m_spectraWorker;
    Background m_viewWorker;
    Background m_channelsWorker;
    Background m_sizeWorker;
};

} // namespace qw
