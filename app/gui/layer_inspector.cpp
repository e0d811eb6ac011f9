#include "app/gui/layer_inspector.h"

#include <cmath>

#include "app/gui/app_state.h"
#include "app/gui/overrides.h"
#include "report/method_settings.h"

namespace qw {

namespace {
/// Rows and columns of the selected layer.
QSize shapeOf(const AppState& state)
{
    if (state.model()) {
        for (const LayerOverview& layer : state.model()->layers) {
            if (QString::fromStdString(layer.name) == state.layer()) {
                return {static_cast<int>(layer.cols), static_cast<int>(layer.rows)};
            }
        }
    }
    return {};
}
} // namespace

LayerInspector::LayerInspector(AppState& state, QObject* parent) : QObject(parent), m_state(state)
{
    connect(&m_state, &AppState::modelChanged, this, &LayerInspector::modelChanged);
    connect(&m_state, &AppState::layerChanged, this, [this] {
        if (shapeOf(m_state) != m_shape) { // the next layer of a shape is seen at the same place
            m_shape = shapeOf(m_state);
            m_area = {};
        }
        ask();
    });
    connect(&m_state, &AppState::runInViewChanged, this, &LayerInspector::ask);
    connect(&m_state, &AppState::draftChanged, this, [this] {
        if (!m_state.runInView()) {
            ask();
        }
    });
    for (Background* worker : {&m_spectraWorker, &m_viewWorker}) {
        connect(worker, &Background::failed, this, [this](const QString& sentence) {
            m_problem = sentence;
            Q_EMIT problemChanged();
        });
    }
    connect(&m_spectraWorker, &Background::finished, this, &LayerInspector::spectraChanged);
    connect(&m_channelsWorker, &Background::finished, this, &LayerInspector::channelsChanged);
    connect(&m_channelsWorker, &Background::failed, this,
            [this](const QString& sentence) { stopChannels(sentence); });
    connect(&m_channelsWorker, &Background::progressed, this, [this](const Progress& progress) {
        m_channelsProgress = progress;
        Q_EMIT channelsProgressed();
    });
}

void LayerInspector::setActive(bool active)
{
    if (active != m_active) {
        m_active = active;
        ask();
    }
}

void LayerInspector::setMap(LayerViewRequest::Map map)
{
    if (map != m_map) {
        m_map = map;
        askView();
    }
}

void LayerInspector::setArea(const QRectF& area)
{
    if (area != m_area) {
        m_area = area;
        askView();
    }
}

const ChannelStatistics* LayerInspector::channels(const QString& layer) const
{
    const auto found = m_channelsOf.find(layer);
    return found == m_channelsOf.end() ? nullptr : &m_channels[found->second];
}

RunSpec LayerInspector::spec() const
{
    RunSpec spec = withoutUnused(m_state.runInView() ? m_state.runInView()->spec : m_state.draft());
    spec.model = m_state.modelName().toStdString();
    return spec;
}

void LayerInspector::modelChanged()
{
    m_cache.clear();
    m_channels.clear();
    m_channelsOf.clear();
    m_channelsKey.clear();
    m_channelsStopped.clear();
    m_channelsProblem.clear();
    m_channelsWorker.cancel();
    m_area = {};
    m_shape = {};
    m_spectra.reset();
    m_view.reset();
    m_plainKey.clear();
    m_plainBytes.reset();
    m_sizeWorker.cancel();
    Q_EMIT channelsChanged();
    ask();
}

void LayerInspector::ask()
{
    if (!m_problem.isEmpty()) {
        m_problem.clear();
        Q_EMIT problemChanged();
    }
    askPlainBytes();
    askView();
    askSpectra();
    askChannels();
}

void LayerInspector::askPlainBytes()
{
    const bool wanted =
        m_active && m_state.modelState() == AppState::ModelState::Ready && !m_state.runInView();
    const RunSpec plain = wanted ? overrides::rankForAll(spec(), 0) : RunSpec();
    const QString key = wanted ? QString::fromStdString(toJson(plain).dump()) : QString();
    if (key == m_plainKey) {
        return;
    }
    m_plainKey = key;
    m_plainBytes.reset();
    if (wanted) { // a draft that cannot run has no size: the form says why
        m_sizeWorker.ask(
            [plain](const RunContext& /*run*/) { return engine_calls::estimate(plain).bytes; },
            [this](std::int64_t bytes) {
                m_plainBytes = bytes;
                Q_EMIT plainBytesKnown();
            });
    } else {
        m_sizeWorker.cancel();
    }
}

QString LayerInspector::spectraKey(const RunSpec& spec) const
{
    RunSpec keyed; // what spectra depend on
    keyed.weight = spec.weight;
    keyed.overrides = spec.overrides;
    keyed.calibration = spec.calibration;
    keyed.seed = spec.seed;
    keyed.adjust = spec.adjust;
    keyed.lowRank.statistic = spec.lowRank.statistic;
    keyed.lowRank.reduce = spec.lowRank.reduce;
    return m_state.layer() + QString::fromStdString(toJson(keyed).dump());
}

QString LayerInspector::viewKey() const
{
    return spectraKey(spec()) +
           (m_state.runInView() ? QString::fromStdString(m_state.runInView()->id) : QString());
}

void LayerInspector::askSpectra()
{
    m_spectra.reset();
    if (!m_active || m_state.modelState() != AppState::ModelState::Ready ||
        m_state.layer().isEmpty()) {
        m_spectraWorker.cancel();
        Q_EMIT spectraChanged();
        return;
    }
    const RunSpec spec = this->spec();
    const QString key = spectraKey(spec);
    const auto cached = m_cache.find(key);
    if (cached != m_cache.end()) {
        m_spectraWorker.cancel();
        m_spectra = cached->second;
        Q_EMIT spectraChanged();
        return;
    }
    const std::uint64_t generation = m_spectraWorker.generation() + 1;
    m_spectraWorker.ask(
        [this, generation, spec, layer = m_state.layer().toStdString(),
         file = m_state.storeFile()](const RunContext& run) {
            RunSpec quick = spec; // W and E need no data: they come first
            quick.calibration.text.clear();
            const LayerSpectra first = engine_calls::spectra(quick, layer, file, run);
            m_spectraWorker.post(generation, [this, first] {
                m_spectra = first;
                Q_EMIT spectraChanged();
            });
            return spec.calibration.text.empty() ? first
                                                 : engine_calls::spectra(spec, layer, file, run);
        },
        [this, key](const LayerSpectra& spectra) {
            m_cache[key] = spectra;
            m_spectra = spectra;
        });
    Q_EMIT spectraChanged();
}

void LayerInspector::askView()
{
    if (!m_active || m_state.modelState() != AppState::ModelState::Ready ||
        m_state.layer().isEmpty()) {
        m_viewWorker.cancel();
        m_view.reset();
        Q_EMIT viewChanged();
        return;
    }
    LayerViewRequest request;
    request.layer = m_state.layer().toStdString();
    request.map = m_map;
    if (m_map == LayerViewRequest::Map::ScaledError) {
        const ChannelStatistics* sizes = channels(m_state.layer());
        if (sizes == nullptr) {
            request.map = LayerViewRequest::Map::Error; // until the channels are known
        } else {
            request.inputScale = sizes->meanAbs;
        }
    }
    if (!m_area.isEmpty()) {
        request.firstRow = static_cast<std::int64_t>(std::floor(m_area.top()));
        request.firstCol = static_cast<std::int64_t>(std::floor(m_area.left()));
        request.rows = static_cast<std::int64_t>(std::ceil(m_area.bottom())) - request.firstRow;
        request.cols = static_cast<std::int64_t>(std::ceil(m_area.right())) - request.firstCol;
    }
    m_viewWorker.ask(
        [spec = this->spec(), stored = m_state.runInView(), request](const RunContext& run) {
            return engine_calls::view(spec, stored ? &*stored : nullptr, request, run);
        },
        [this, key = viewKey(), map = request.map](LayerView view) {
            m_view = std::move(view);
            m_viewKey = key;
            m_shownMap = map;
            Q_EMIT viewChanged();
        });
}

QString LayerInspector::channelsKey(const RunSpec& spec) const
{
    RunSpec keyed; // what the pass depends on
    keyed.model = spec.model;
    keyed.calibration = spec.calibration;
    keyed.seed = spec.seed;
    keyed.adjust = spec.adjust;
    return QString::fromStdString(toJson(keyed).dump());
}

void LayerInspector::stopChannels(const QString& why)
{
    m_channelsStopped = m_channelsAsked;
    m_channelsProblem = why;
    Q_EMIT channelsChanged();
}

void LayerInspector::cancelChannels()
{
    m_channelsWorker.cancel();
    stopChannels(tr("Cancelled before all inputs were measured"));
}

void LayerInspector::measureChannels()
{
    m_channelsStopped.clear();
    askChannels();
}

void LayerInspector::askChannels()
{
    const RunSpec spec = this->spec();
    if (!m_active || m_state.modelState() != AppState::ModelState::Ready ||
        spec.calibration.text.empty()) {
        m_channelsWorker.cancel(); // a pass over the whole model: for nobody else
        m_channelsAsked.clear();
        if (spec.calibration.text.empty() && !m_channelsProblem.isEmpty()) {
            m_channelsProblem.clear(); // of a text that is chosen no more
            Q_EMIT channelsChanged();
        }
        return;
    }
    const QString key = channelsKey(spec);
    if (key == m_channelsKey || key == m_channelsStopped ||
        (m_channelsWorker.busy() && key == m_channelsAsked)) {
        return;
    }
    m_channelsAsked = key;
    m_channelsKey.clear();
    m_channelsProblem.clear();
    m_channelsProgress = {};
    m_channels.clear();
    m_channelsOf.clear();
    const std::uint64_t generation = m_channelsWorker.generation() + 1;
    m_channelsWorker.ask(
        [this, generation, spec](const RunContext& run) {
            engine_calls::channels(
                spec,
                [this, generation](const ChannelStatistics& group) {
                    m_channelsWorker.post(generation, [this, group] {
                        const auto place = m_channels.size();
                        for (const std::string& layer : group.layers) {
                            m_channelsOf[QString::fromStdString(layer)] = place;
                        }
                        m_channels.push_back(group);
                        Q_EMIT channelsChanged();
                        const auto own = m_channelsOf.find(m_state.layer());
                        if (m_map == LayerViewRequest::Map::ScaledError &&
                            own != m_channelsOf.end() && own->second == place) {
                            askView(); // it waited for them
                        }
                    });
                },
                run);
            return true;
        },
        [this, key](bool) { m_channelsKey = key; });
    Q_EMIT channelsChanged();
}

} // namespace qw
