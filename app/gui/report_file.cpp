#include "app/gui/report_file.h"

#include <QAbstractTextDocumentLayout>
#include <QFontDatabase>
#include <QPainter>
#include <QPdfWriter>
#include <QSaveFile>
#include <QSvgRenderer>
#include <QTextCursor>
#include <QTextDocument>
#include <QTextObjectInterface>
#include <QTextTable>

#include "base/error.h"
#include "base/files.h"
#include "report/html_report.h"
#include "report/svg_plot.h"
#include "store/report_entries.h"
#include "store/run_store.h"

namespace qw {

namespace {
constexpr double kDpi = 96;    // of the layout; the file is finer
constexpr double kMargin = 15; // millimetres
constexpr double kFooter = 24; // pixels of the layout below the text
constexpr int kFooterPixels = 11;
constexpr double kTextPoints = 9.5;
constexpr double kTablePoints = 6.8;
constexpr double kCodePoints = 7.5;
constexpr int kSvgData = QTextFormat::UserProperty + 1;
constexpr int kSvgObject = QTextFormat::UserObject + 1;
constexpr double kPlotWidth = 760; // of the drawing: its letters shrink with it to the page
constexpr double kPlotHeight = 360;

/// A drawing between lines of text, as wide as the page; stays lines and letters in the file.
class SvgObject final : public QObject, public QTextObjectInterface
{
    Q_OBJECT
    Q_INTERFACES(QTextObjectInterface)
public:
    QSizeF intrinsicSize(QTextDocument* document, int /*position*/,
                         const QTextFormat& format) override
    {
        const QSvgRenderer renderer(format.property(kSvgData).toByteArray());
        const double width = document->pageSize().width() - 2 * document->documentMargin();
        const QSizeF size = renderer.defaultSize();
        return {width, width * size.height() / std::max(1.0, size.width())};
    }
    void drawObject(QPainter* painter, const QRectF& area, QTextDocument* /*document*/,
                    int /*position*/, const QTextFormat& format) override
    {
        QSvgRenderer(format.property(kSvgData).toByteArray()).render(painter, area);
    }
};

QTextBlockFormat spaced(double above, double below)
{
    QTextBlockFormat format;
    format.setTopMargin(above);
    format.setBottomMargin(below);
    return format;
}

QTextCharFormat letters(double points, bool bold = false)
{
    QTextCharFormat format;
    format.setFontPointSize(points);
    format.setFontWeight(bold ? QFont::DemiBold : QFont::Normal);
    return format;
}

class DocumentWriter
{
public:
    explicit DocumentWriter(QTextDocument& document) : m_cursor(&document) {}

    void line(const std::string& text, const QTextBlockFormat& block, const QTextCharFormat& form)
    {
        if (m_first) {
            m_cursor.setBlockFormat(block);
            m_cursor.setCharFormat(form);
            m_first = false;
        } else {
            m_cursor.insertBlock(block, form);
        }
        // Lines of one paragraph: between paragraphs there would be gaps.
        m_cursor.insertText(
            QString::fromStdString(text).replace(u'\n', QChar(QChar::LineSeparator)), form);
    }
    void operator()(const ReportText& block)
    {
        line(block.text, spaced(2, 4), letters(kTextPoints));
    }
    void operator()(const ReportCode& block)
    {
        QTextCharFormat format = letters(kCodePoints);
        format.setFontFamilies({QFontDatabase::systemFont(QFontDatabase::FixedFont).family()});
        QTextBlockFormat ground = spaced(2, 4);
        ground.setBackground(QColor(0xf0, 0xf1, 0xf3));
        line(block.text, ground, format);
    }
    void operator()(const ReportTable& table)
    {
        QTextTableFormat format;
        format.setBorder(0);
        format.setCellPadding(2);
        format.setCellSpacing(0);
        format.setHeaderRowCount(1); // again on every page
        format.setTopMargin(4);
        format.setBottomMargin(6);
        format.setWidth(QTextLength(QTextLength::PercentageLength, 100));
        QTextTable* cells = m_cursor.insertTable(static_cast<int>(table.rows.size()) + 1,
                                                 static_cast<int>(table.header.size()), format);
        for (std::size_t i = 0; i < table.header.size(); ++i) {
            cell(*cells, 0, i, table.header[i], i >= table.textColumns, true);
        }
        for (std::size_t row = 0; row < table.rows.size(); ++row) {
            for (std::size_t i = 0; i < table.rows[row].size(); ++i) {
                cell(*cells, static_cast<int>(row) + 1, i, table.rows[row][i],
                     i >= table.textColumns, false);
            }
        }
        m_cursor.movePosition(QTextCursor::End);
    }
    template <class Plot>
    void operator()(const Plot& plot)
    {
        SvgOptions options;
        options.width = kPlotWidth;
        options.height = kPlotHeight;
        QTextCharFormat format;
        format.setObjectType(kSvgObject);
        format.setProperty(kSvgData, QByteArray::fromStdString(toSvg(plot, options)));
        m_cursor.insertBlock(spaced(6, 6));
        m_cursor.insertText(QString(QChar::ObjectReplacementCharacter), format);
    }

private:
    static void cell(QTextTable& table, int row, std::size_t column, const std::string& text,
                     bool number, bool header)
    {
        QTextTableCell cells = table.cellAt(row, static_cast<int>(column));
        QTextTableCellFormat line;
        line.setBottomBorder(header ? 1 : 0.5);
        line.setBottomBorderStyle(QTextFrameFormat::BorderStyle_Solid);
        line.setBottomBorderBrush(header ? QColor(0x60, 0x66, 0x6c) : QColor(0xd8, 0xdb, 0xde));
        QTextCursor cursor = cells.firstCursorPosition();
        cells.setFormat(line);
        QTextBlockFormat block;
        block.setAlignment(number ? Qt::AlignRight : Qt::AlignLeft);
        cursor.setBlockFormat(block);
        cursor.insertText(QString::fromStdString(text), letters(kTablePoints, header));
    }

    QTextCursor m_cursor;
    bool m_first = true;
};

void fill(QTextDocument& document, const ReportDocument& report)
{
    DocumentWriter out(document);
    out.line(report.title, spaced(0, 2), letters(18, true));
    out.line(report.subtitle, spaced(0, 6), letters(kTextPoints));
    bool runs = false;
    for (const ReportSection& section : report.sections) {
        QTextBlockFormat block = spaced(14, 4);
        if (section.ofRun) { // each run begins a page
            block.setPageBreakPolicy(QTextFormat::PageBreak_AlwaysBefore);
            runs = true;
        }
        out.line(section.heading, block, letters(runs ? 12 : 13, true));
        for (const ReportBlock& part : section.blocks) {
            std::visit(out, part);
        }
    }
}
} // namespace

void writePdf(const ReportDocument& report, const QString& file)
{
    QSaveFile target(file); // what was there stays until all is written
    QW_REQUIRE(target.open(QIODevice::WriteOnly), ErrorCode::Io, file.toStdString(),
               ": cannot be written: ", target.errorString().toStdString());
    QPdfWriter writer(&target);
    writer.setPageSize(QPageSize(QPageSize::A4));
    writer.setPageMargins(QMarginsF(kMargin, kMargin, kMargin, kMargin), QPageLayout::Millimeter);
    writer.setTitle(QString::fromStdString(report.title));
    writer.setCreator(QStringLiteral("Quant Workbench " QW_VERSION));
    const double scale = writer.resolution() / kDpi;
    const QSizeF page(writer.width() / scale, writer.height() / scale - kFooter);
    QTextDocument document;
    SvgObject drawings;
    document.documentLayout()->registerHandler(kSvgObject, &drawings);
    document.setDocumentMargin(0);
    QFont font = QFontDatabase::systemFont(QFontDatabase::GeneralFont);
    font.setPointSizeF(kTextPoints);
    document.setDefaultFont(font);
    fill(document, report);
    document.setPageSize(page);
    QFont footerFont = font;
    footerFont.setPixelSize(kFooterPixels); // points would be those of the finer file
    QPainter painter(&writer);
    const int pages = document.pageCount();
    for (int i = 0; i < pages; ++i) {
        if (i > 0) {
            writer.newPage();
        }
        painter.save();
        painter.scale(scale, scale);
        painter.setFont(footerFont);
        painter.setPen(QColor(0x60, 0x66, 0x6c));
        painter.drawText(QRectF(0, page.height(), page.width(), kFooter),
                         Qt::AlignRight | Qt::AlignBottom,
                         QStringLiteral("%1 / %2").arg(i + 1).arg(pages));
        painter.translate(0, -i * page.height());
        QAbstractTextDocumentLayout::PaintContext context;
        context.palette.setColor(QPalette::Text, Qt::black);
        context.clip = QRectF(QPointF(0, i * page.height()), page);
        painter.setClipRect(context.clip);
        document.documentLayout()->draw(&painter, context);
        painter.restore();
    }
    painter.end();
    QW_REQUIRE(target.error() == QFileDevice::NoError && target.commit(), ErrorCode::Io,
               file.toStdString(), ": cannot be written: ", target.errorString().toStdString());
}

void writeReport(const std::string& storeFile, const std::vector<std::string>& ids,
                 const QString& title, const QString& file)
{
    const RunStore store(storeFile);
    const ReportDocument report = reportOf(reportEntries(store, ids), title.toStdString());
    if (file.endsWith(QStringLiteral(".pdf"), Qt::CaseInsensitive)) {
        writePdf(report, file);
        return;
    }
    AtomicFile html(file.toStdString());
    html.write(toHtml(report));
    html.commit();
}

} // namespace qw

#include "report_file.moc"
