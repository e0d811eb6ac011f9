#include "widgets/run_columns.h"

#include <array>
#include <cmath>

#include <QCoreApplication>
#include <QDateTime>
#include <QFileInfo>

#include "report/method_style.h"
#include "report/run_groups.h"
#include "widgets/number_text.h"
#include "widgets/run_table_model.h"

namespace qw::run_columns {

namespace {
using Model = RunTableModel;

struct Text {
    Q_DECLARE_TR_FUNCTIONS(RunColumns)
};

QString textOf(const std::string& text)
{
    return QString::fromStdString(text);
}

QString orDash(const QString& text)
{
    return text.isEmpty() ? QStringLiteral("\u2013") : text;
}

QString groupText(std::int64_t groupSize)
{
    const Json group = groupSizeToJson(groupSize);
    return group.is_string() ? textOf(group.get<std::string>()) : QString::number(groupSize);
}

QString tagText(const RunSummary& run)
{
    QStringList tags;
    for (const std::string& tag : run.tags) {
        tags << textOf(tag);
    }
    return tags.join(QStringLiteral(", "));
}

QString rankOf(const KnownRank& known)
{
    if (known.full) {
        return Text::tr("full");
    }
    return known.learned && known.rank == 0 ? orDash({}) : QString::number(known.rank);
}

double known(double value)
{
    return value > 0 ? value : kMissing;
}
} // namespace

QString title(int column)
{
    const std::array<QString, Model::ColumnCount> titles = {
        Text::tr("run"),       Text::tr("\u2605"), Text::tr("perplexity"),
        Text::tr("\u0394nll"), Text::tr("KL"),     Text::tr("top-1"),
        Text::tr("bits/w"),    Text::tr("size"),   Text::tr("tags"),
        Text::tr("status"),    Text::tr("began"),  Text::tr("method"),
        Text::tr("bits"),      Text::tr("group"),  Text::tr("rank"),
        Text::tr("seed"),      Text::tr("time"),   Text::tr("memory"),
        Text::tr("model"),     Text::tr("text"),   Text::tr("sweep"),
        Text::tr("id"),        Text::tr("notes"),  Text::tr("!", "title of the remarks")};
    return titles.at(static_cast<std::size_t>(column));
}

QString help(int column)
{
    const std::array<QString, Model::ColumnCount> texts = {
        Text::tr("Method, format and rank; ticked runs are drawn"),
        Text::tr("Runs to keep an eye on"),
        Text::tr("Of the evaluation text, with one standard error"),
        Text::tr("Loss over full precision, nats per token"),
        Text::tr("Mean KL divergence from full precision, nats per token"),
        Text::tr("How often the likeliest token is that of full precision"),
        Text::tr("Bits per weight, everything included"),
        Text::tr("Of the quantized layers, 10\u2076 bytes"),
        Text::tr("Double click to edit, commas between them"),
        Text::tr("Whether the run was finished"),
        Text::tr("When the run began"),
        Text::tr("Quantization method"),
        Text::tr("Bits of a weight"),
        Text::tr("Columns that share a scale"),
        Text::tr("Rank of the correction, or learned rank"),
        Text::tr("Decides everything random"),
        Text::tr("From start to end"),
        Text::tr("The most the run held at once"),
        Text::tr("Folder of the model"),
        Text::tr("Text the run was measured on"),
        Text::tr("Sweep it belongs to"),
        Text::tr("For qw runs show"),
        Text::tr("Double click to edit"),
        Text::tr("Remarks: what was done differently from what was asked")};
    return texts.at(static_cast<std::size_t>(column));
}

QVariant alignment(int column)
{
    switch (column) {
    case Model::PerplexityColumn:
    case Model::DeltaNllColumn:
    case Model::KlColumn:
    case Model::Top1Column:
    case Model::BitsPerWeightColumn:
    case Model::SizeColumn:
    case Model::BitsColumn:
    case Model::GroupColumn:
    case Model::RankColumn:
    case Model::SeedColumn:
    case Model::TimeColumn:
    case Model::MemoryColumn:
    case Model::RemarksColumn:
        return QVariant(Qt::AlignRight | Qt::AlignVCenter);
    default:
        return QVariant(Qt::AlignLeft | Qt::AlignVCenter);
    }
}

QString display(const RunSummary& run, int column)
{
    const RunResult& r = run.result;
    switch (column) {
    case Model::NameColumn:
        return textOf(shortName(r));
    case Model::PerplexityColumn:
        return text::perplexity(r.score.perplexity, r.score.nllStderr);
    case Model::DeltaNllColumn:
        return text::number(r.comparison.deltaNll, 4);
    case Model::KlColumn:
        return text::number(r.comparison.klMean, 4);
    case Model::Top1Column:
        return text::percent(r.comparison.top1Agreement);
    case Model::BitsPerWeightColumn:
        return text::bitsPerWeight(r.bitsPerWeight);
    case Model::SizeColumn:
        return text::megabytes(r.bytes);
    case Model::TagsColumn:
        return tagText(run);
    case Model::StatusColumn:
        return textOf(r.status);
    case Model::StartedColumn:
        return QDateTime::fromString(textOf(r.started), Qt::ISODate)
            .toLocalTime()
            .toString(QStringLiteral("yyyy-MM-dd HH:mm"));
    case Model::MethodColumn:
        return textOf(methodStyle(r.spec.method).title);
    case Model::BitsColumn:
        return QString::number(r.spec.weight.bits);
    case Model::GroupColumn:
        return groupText(r.spec.weight.groupSize);
    case Model::RankColumn:
        return rankOf(knownRank(r));
    case Model::SeedColumn:
        return QString::number(r.spec.seed);
    case Model::TimeColumn:
        return text::duration(known(r.seconds));
    case Model::MemoryColumn:
        return text::megabytes(r.peakRssBytes);
    case Model::ModelColumn:
        return QFileInfo(textOf(r.spec.model)).fileName();
    case Model::TextColumn:
        return orDash(QFileInfo(textOf(r.spec.evaluation.text)).fileName());
    case Model::SweepColumn:
        return orDash(textOf(r.sweep));
    case Model::IdColumn:
        return textOf(r.id);
    case Model::NotesColumn:
        return textOf(run.notes).simplified();
    case Model::RemarksColumn:
        return r.substitutions.empty() ? QString() : QString::number(r.substitutions.size());
    default:
        return {};
    }
}

QVariant sortKey(const RunSummary& run, int column)
{
    const RunResult& r = run.result;
    switch (column) {
    case Model::StarColumn:
        return run.starred ? 1.0 : 0.0;
    case Model::PerplexityColumn:
        return r.score.perplexity;
    case Model::DeltaNllColumn:
        return r.comparison.deltaNll;
    case Model::KlColumn:
        return r.comparison.klMean;
    case Model::Top1Column:
        return r.comparison.top1Agreement;
    case Model::BitsPerWeightColumn:
        return r.bitsPerWeight;
    case Model::SizeColumn:
        return known(static_cast<double>(r.bytes));
    case Model::StartedColumn:
        return textOf(r.started); // ISO: the order of text is that of time
    case Model::BitsColumn:
        return static_cast<double>(r.spec.weight.bits);
    case Model::GroupColumn:
        return static_cast<double>(r.spec.weight.groupSize);
    case Model::RankColumn:
        return rankNumber(knownRank(r));
    case Model::SeedColumn:
        return static_cast<double>(r.spec.seed);
    case Model::TimeColumn:
        return known(r.seconds);
    case Model::MemoryColumn:
        return known(static_cast<double>(r.peakRssBytes));
    case Model::RemarksColumn:
        return static_cast<double>(r.substitutions.size());
    default:
        return display(run, column);
    }
}

QString remarks(const RunResult& run)
{
    QStringList sentences;
    for (const std::string& sentence : run.substitutions) {
        sentences << textOf(sentence);
    }
    return sentences.join(u'\n');
}

QString tip(const RunSummary& run, int column)
{
    const RunResult& r = run.result;
    switch (column) {
    case Model::StarColumn:
        return run.starred ? Text::tr("starred") : Text::tr("not starred");
    case Model::PerplexityColumn:
        return std::isfinite(r.comparison.fpPerplexity)
                   ? Text::tr("full precision: %1").arg(text::number(r.comparison.fpPerplexity, 3))
                   : QString();
    case Model::RankColumn:
        return knownRank(r).learned ? Text::tr("learned rank") : QString();
    case Model::SizeColumn:
        return r.bytes > 0 ? text::exactBytes(r.bytes) : QString();
    case Model::MemoryColumn:
        return r.peakRssBytes > 0 ? text::exactBytes(r.peakRssBytes) : QString();
    case Model::ModelColumn:
        return textOf(r.spec.model);
    case Model::TextColumn:
        return textOf(r.spec.evaluation.text);
    case Model::NotesColumn:
        return textOf(run.notes);
    case Model::RemarksColumn:
        return remarks(r);
    default:
        return {};
    }
}

} // namespace qw::run_columns
