#include "app/gui/sweep_dialog.h"

#include <algorithm>

#include <QCheckBox>
#include <QDialogButtonBox>
#include <QFormLayout>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/run_text.h"
#include "base/error.h"
#include "report/learned_rank.h"
#include "report/method_style.h"
#include "report/sweep_grid.h"
#include "widgets/number_text.h"
#include "widgets/theme.h"

namespace qw {

using namespace Qt::Literals::StringLiterals;

namespace {
constexpr int kFewestBits = 2;
constexpr int kMostBits = 8;
constexpr int kMethodColumns = 2;
constexpr std::size_t kMostRuns = 2000;

/// What several runs take together.
struct Cost {
    double seconds = 0;
    std::int64_t memory = 0;
};

/// Runs that differ in rank only are asked for once, at the largest.
Cost costOf(const std::vector<RunSpec>& specs, const RunContext& run)
{
    std::vector<std::pair<RunSpec, int>> kinds;
    for (const RunSpec& spec : specs) {
        const auto known = std::find_if(kinds.begin(), kinds.end(), [&](const auto& kind) {
            RunSpec other = kind.first;
            other.lowRank.rank = spec.lowRank.rank;
            return other == spec;
        });
        if (known == kinds.end()) {
            kinds.emplace_back(spec, 1);
        } else {
            known->first.lowRank.rank = std::max(known->first.lowRank.rank, spec.lowRank.rank);
            ++known->second;
        }
    }
    Cost cost;
    for (const auto& [spec, count] : kinds) {
        run.checkpoint();
        const Estimate one = engine_calls::estimate(spec);
        cost.seconds += one.seconds * count;
        cost.memory = std::max(cost.memory, one.peakRssBytes);
    }
    return cost;
}

/// What runs that differ in rank only have in common: what corrects is found once, at the largest
/// rank; what is learned is learned for each.
QStringList aboutRanks(const std::vector<RunSpec>& specs)
{
    bool shared = false;
    QStringList anew;
    for (std::size_t i = 1; i < specs.size(); ++i) { // ranks vary fastest
        const RunSpec& before = specs[i - 1];
        RunSpec same = specs[i];
        same.lowRank.rank = before.lowRank.rank;
        shared = shared || same == before;
        same.reconstruction.rank = before.reconstruction.rank;
        same.training.rank = before.training.rank;
        const QString title = QString::fromStdString(methodStyle(same.method).title);
        const bool learned = specs[i].reconstruction.rank != before.reconstruction.rank ||
                             specs[i].training.rank != before.training.rank;
        if (same == before && learned && !anew.contains(title)) {
            anew << title;
        }
    }
    QStringList said;
    if (shared) {
        said << SweepDialog::tr("runs that differ only in the rank of their correction share "
                                "calibration and factors");
    }
    for (const QString& title : anew) {
        said << SweepDialog::tr("each rank of %1 is learned anew").arg(title);
    }
    return said;
}

/// The rank that a spec asks for, whatever it is of; 0: none, or left to the method.
std::int64_t rankOf(const RunSpec& spec)
{
    if (spec.method == "lr-qat") {
        return std::max(spec.lowRank.rank, spec.training.rank);
    }
    return learnsRank(spec) ? std::max<std::int64_t>(
                                  spec.lowRank.rank,
                                  QString::fromStdString(spec.reconstruction.rank).toLongLong())
                            : spec.lowRank.rank;
}

/// What runs make of a rank that is larger than a layer, or nothing.
QStringList aboutCuts(const std::vector<RunSpec>& specs, const std::vector<LayerOverview>& layers)
{
    std::int64_t asked = 0;
    for (const RunSpec& spec : specs) {
        asked = std::max(asked, rankOf(spec));
    }
    std::int64_t most = 0;
    std::size_t cut = 0;
    for (const LayerOverview& layer : layers) {
        const std::int64_t full = std::min(layer.rows, layer.cols);
        most = std::max(most, full);
        cut += full < asked ? 1 : 0;
    }
    if (cut == 0) {
        return {};
    }
    return {cut < layers.size()
                ? SweepDialog::tr("rank %1 is cut to the size of the layer in %2 of %3 layers")
                      .arg(asked)
                      .arg(cut)
                      .arg(layers.size())
                : SweepDialog::tr("rank %1 is larger than any layer: the largest of use is %2")
                      .arg(asked)
                      .arg(most)};
}
} // namespace

SweepDialog::SweepDialog(AppState& state, QWidget* parent)
    : QDialog(parent), m_state(state), m_count(new QLabel), m_cost(new QLabel),
      m_problem(new QLabel)
{
    setObjectName(u"sweepDialog"_s);
    setWindowTitle(tr("Sweep"));
    const RunSpec& draft = state.draft();
    auto* intro = new QLabel(tr("Runs every combination of what is chosen here; all else is as in "
                                "the Quantize form: %1.")
                                 .arg(run_text::settings(draft)));
    intro->setWordWrap(true);
    intro->setTextFormat(Qt::PlainText);
    auto* form = new QFormLayout;
    form->setHorizontalSpacing(theme::kSection);
    form->setVerticalSpacing(theme::kMargin);
    form->addRow(tr("Methods"), makeMethods());
    form->addRow(tr("Bits"), makeBits());
    const auto add = [form](const QString& label, QLineEdit* edit) { form->addRow(label, edit); };
    const Json group = groupSizeToJson(draft.weight.groupSize);
    m_ranks = makeList(u"sweepRanksLineEdit"_s, tr("Ranks"), u"8, 16, 32"_s,
                       tr("Numbers with commas: of corrections, or of what LRQ and LR-QAT learn"));
    m_groups = makeList(
        u"sweepGroupsLineEdit"_s, tr("Group sizes"),
        QString::fromStdString(group.is_string() ? group.get<std::string>() : group.dump()),
        tr("Numbers, channel or tensor, with commas"));
    m_seeds = makeList(u"sweepSeedsLineEdit"_s, tr("Seeds"), QString::number(draft.seed),
                       tr("Numbers with commas"));
    add(tr("&Ranks"), m_ranks);
    add(tr("&Group sizes"), m_groups);
    add(tr("&Seeds"), m_seeds);
    QFont bold = m_count->font();
    bold.setBold(true);
    m_count->setFont(bold);
    m_count->setObjectName(u"sweepCountLabel"_s);
    m_cost->setObjectName(u"sweepCostLabel"_s);
    m_cost->setForegroundRole(QPalette::PlaceholderText);
    m_cost->setWordWrap(true);
    m_problem->setObjectName(u"sweepProblemLabel"_s);
    m_problem->setWordWrap(true);
    m_problem->setTextFormat(Qt::PlainText);
    QPalette colors = palette();
    colors.setColor(QPalette::WindowText, theme::problemText(colors));
    m_problem->setPalette(colors);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Cancel);
    m_queue = buttons->addButton(tr("&Queue"), QDialogButtonBox::AcceptRole);
    m_queue->setObjectName(u"queueSweepButton"_s);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(buttons, &QDialogButtonBox::accepted, this, [this] {
        accept();
        Q_EMIT runsWanted(m_specs);
    });
    connect(&m_worker, &Background::failed, this, [this](const QString& sentence) {
        m_cost->clear();
        m_problem->setText(sentence);
        m_queue->setEnabled(false);
    });
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kSection, theme::kSection, theme::kSection, theme::kSection);
    layout->setSpacing(theme::kMargin);
    layout->addWidget(intro);
    layout->addLayout(form);
    layout->addWidget(m_count);
    layout->addWidget(m_cost);
    layout->addWidget(m_problem);
    layout->addStretch(1);
    layout->addWidget(buttons);
    setMinimumWidth(480);
    m_queue->setDefault(true); // known to the dialog only now that it is in it
    refresh();
}

QWidget* SweepDialog::makeMethods()
{
    auto* widget = new QWidget;
    auto* grid = new QGridLayout(widget);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setSpacing(theme::kTight);
    if (m_state.facts()) {
        for (const MethodDescription& method : m_state.facts()->methods) {
            auto* box = new QCheckBox(QString::fromStdString(method.title));
            const QString id = QString::fromStdString(method.id);
            box->setObjectName(u"sweepMethod_"_s + id);
            box->setProperty("id", id);
            box->setToolTip(QString::fromStdString(method.summary));
            box->setChecked(method.id == m_state.draft().method);
            connect(box, &QCheckBox::toggled, this, &SweepDialog::refresh);
            const int place = static_cast<int>(m_methods.size());
            grid->addWidget(box, place / kMethodColumns, place % kMethodColumns);
            m_methods.push_back(box);
        }
    }
    return widget;
}

QWidget* SweepDialog::makeBits()
{
    auto* widget = new QWidget;
    auto* line = new QHBoxLayout(widget);
    line->setContentsMargins(0, 0, 0, 0);
    for (int bits = kFewestBits; bits <= kMostBits; ++bits) {
        auto* box = new QCheckBox(QString::number(bits));
        box->setObjectName(u"sweepBits%1CheckBox"_s.arg(bits));
        box->setAccessibleName(tr("%1 bits").arg(bits));
        box->setChecked(bits == m_state.draft().weight.bits);
        connect(box, &QCheckBox::toggled, this, &SweepDialog::refresh);
        line->addWidget(box);
        m_bits.push_back(box);
    }
    line->addStretch(1);
    return widget;
}

QLineEdit* SweepDialog::makeList(const QString& name, const QString& label, const QString& text,
                                 const QString& tip)
{
    auto* edit = new QLineEdit(text);
    edit->setObjectName(name);
    edit->setAccessibleName(label);
    edit->setToolTip(tip);
    edit->setPlaceholderText(tip);
    connect(edit, &QLineEdit::textChanged, this, &SweepDialog::refresh);
    return edit;
}

void SweepDialog::refresh()
{
    if (m_seeds == nullptr) {
        return; // still being made
    }
    m_specs.clear();
    m_worker.cancel();
    QString problem;
    SweepGrid grid;
    for (const QCheckBox* box : m_methods) {
        if (box->isChecked()) {
            grid.methods.push_back(box->property("id").toString().toStdString());
        }
    }
    for (std::size_t i = 0; i < m_bits.size(); ++i) {
        if (m_bits[i]->isChecked()) {
            grid.bits.push_back(kFewestBits + static_cast<int>(i));
        }
    }
    try {
        QW_REQUIRE(!grid.methods.empty(), ErrorCode::BadInput,
                   tr("Choose a method at least.").toStdString());
        QW_REQUIRE(!grid.bits.empty(), ErrorCode::BadInput,
                   tr("Choose a number of bits at least.").toStdString());
        grid.ranks = numbersFromText(m_ranks->text().toStdString(), tr("Ranks").toStdString());
        grid.groupSizes = groupSizesFromText(m_groups->text().toStdString());
        grid.seeds = numbersFromText(m_seeds->text().toStdString(), tr("Seeds").toStdString());
        m_specs = sweepSpecs(m_state.draft(), grid, [this](const RunSpec& spec) {
            const MethodDescription* method = m_state.method(spec.method);
            return method == nullptr || method->lowRank || spec.lowRank.correction != "none";
        });
        QW_REQUIRE(m_specs.size() <= kMostRuns, ErrorCode::BadInput,
                   tr("These are %1 runs; a sweep has at most %2.")
                       .arg(m_specs.size())
                       .arg(kMostRuns)
                       .toStdString());
        for (const RunSpec& spec : m_specs) {
            validate(spec);
        }
    } catch (const Error& error) {
        problem = QString::fromStdString(error.what());
    }
    const auto count = m_specs.size();
    m_count->setText(count == 1 ? tr("1 run") : tr("%1 runs").arg(count));
    m_problem->setText(problem);
    m_queue->setText(count == 1 ? tr("&Queue 1 Run") : tr("&Queue %1 Runs").arg(count));
    m_queue->setMinimumWidth(m_queue->sizeHint().width() + theme::kMargin);
    m_queue->setEnabled(problem.isEmpty() && count > 0);
    m_cost->clear();
    if (m_queue->isEnabled()) {
        estimate();
    }
}

void SweepDialog::estimate()
{
    m_cost->setText(tr("estimating\u2026"));
    m_worker.ask(
        [specs = m_specs](const RunContext& run) { return costOf(specs, run); },
        [this](const Cost& cost) {
            const QStringList parts =
                QStringList{tr("%1 at most, and %2 of memory")
                                .arg(text::duration(cost.seconds), text::megabytes(cost.memory))} +
                aboutRanks(m_specs) +
                (m_state.model() ? aboutCuts(m_specs, m_state.model()->layers) : QStringList());
            m_cost->setText(parts.join(tr("; ", "between parts of a list")));
        });
}

} // namespace qw
