#include "report/html_report.h"

#include "report/svg_canvas.h"
#include "report/svg_plot.h"

namespace qw {

namespace {
constexpr const char* kStyle = R"css(
*{box-sizing:border-box}
html{color-scheme:light dark}
body{margin:0 auto;max-width:1080px;padding:32px 24px 64px;background:var(--qw-paper);color:var(--qw-ink);
font:15px/1.5 system-ui,"Segoe UI","Liberation Sans",Arial,sans-serif}
h1{font-size:26px;line-height:1.2;margin:0 0 4px}
h2{font-size:19px;margin:40px 0 8px;padding-top:8px;border-top:1px solid var(--qw-grid)}
h3{font-size:16px;margin:36px 0 6px}
h1,h2,h3,p{overflow-wrap:anywhere}
p{margin:8px 0;max-width:76ch}
.subtitle,.note{color:var(--qw-muted)}
a{color:inherit;text-decoration-color:var(--qw-muted);text-underline-offset:2px}
a:focus-visible{outline:2px solid var(--qw-l2qer);outline-offset:2px}
.wide{overflow-x:auto;margin:12px 0}
table{border-collapse:collapse;font-size:13px;line-height:1.35;font-variant-numeric:tabular-nums}
th,td{padding:4px 12px 4px 0;text-align:right;vertical-align:top;white-space:nowrap}
th{color:var(--qw-muted);font-weight:500;border-bottom:1px solid var(--qw-muted);vertical-align:bottom}
td{border-bottom:1px solid var(--qw-grid)}
.word{text-align:left}
td.word{white-space:normal;overflow-wrap:anywhere;min-width:9ch}
td a{white-space:nowrap}
pre{background:color-mix(in srgb,var(--qw-grid) 45%,transparent);padding:10px 12px;border-radius:4px;
font:12px/1.45 ui-monospace,"Liberation Mono",Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
figure{margin:20px 0}
svg{max-width:100%;height:auto;display:block}
@media print{
@page{margin:15mm}
body{max-width:none;padding:0;font-size:10.5pt}
h2,h3{break-after:avoid}
h3{break-before:page}
h2+h3{break-before:auto}
figure,tr,pre{break-inside:avoid}
thead{display:table-header-group}
.wide{overflow:visible}
table{font-size:8pt}
th,td{padding-right:7px}
pre{font-size:8pt}
}
)css";

class HtmlWriter
{
public:
    void operator()(const ReportText& block)
    {
        m_out += "<p>" + escapeMarkup(block.text) + "</p>\n";
    }
    void operator()(const ReportCode& block)
    {
        m_out += "<pre>" + escapeMarkup(block.text) + "</pre>\n";
    }
    void operator()(const ReportTable& table)
    {
        m_out += "<div class=\"wide\"><table>\n<thead><tr>";
        for (std::size_t i = 0; i < table.header.size(); ++i) {
            m_out += std::string("<th scope=\"col\"") + (i < table.textColumns ? wordClass() : "") +
                     ">" + escapeMarkup(table.header[i]) + "</th>";
        }
        m_out += "</tr></thead>\n<tbody>\n";
        for (const auto& row : table.rows) {
            m_out += "<tr>";
            for (std::size_t i = 0; i < row.size(); ++i) {
                m_out += std::string("<td") + (i < table.textColumns ? wordClass() : "") + ">" +
                         cell(table, i, row[i]) + "</td>";
            }
            m_out += "</tr>\n";
        }
        m_out += "</tbody></table></div>\n";
    }
    template <class Plot>
    void operator()(const Plot& plot)
    {
        SvgOptions options;
        options.width = 960;
        options.height = 400;
        options.standalone = false;
        m_out += "<figure>" + toSvg(plot, options) + "</figure>\n";
    }
    void add(const std::string& markup) { m_out += markup; }
    std::string take() { return std::move(m_out); }

private:
    static const char* wordClass() { return " class=\"word\""; }
    static std::string cell(const ReportTable& table, std::size_t column, const std::string& text)
    {
        const std::string safe = escapeMarkup(text);
        return column == 0 && !table.linkPrefix.empty()
                   ? "<a href=\"#" + escapeMarkup(table.linkPrefix) + safe + "\">" + safe + "</a>"
                   : safe;
    }

    std::string m_out;
};

std::string heading(const ReportSection& section)
{
    const std::string tag = section.ofRun ? "h3" : "h2";
    const std::string anchor =
        section.anchor.empty() ? "" : " id=\"" + escapeMarkup(section.anchor) + "\"";
    return "<" + tag + anchor + ">" + escapeMarkup(section.heading) + "</" + tag + ">\n";
}
} // namespace

std::string toHtml(const ReportDocument& document)
{
    HtmlWriter out;
    const std::string title = escapeMarkup(document.title);
    out.add("<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
            "<meta charset=\"utf-8\"/>\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "style-src 'unsafe-inline'\"/>\n<title>" +
            title + "</title>\n<style>\n" + svgStyle() + kStyle +
            "</style>\n</head>\n<body>\n<main>\n<h1>" + title + "</h1>\n<p class=\"subtitle\">" +
            escapeMarkup(document.subtitle) + "</p>\n");
    bool runs = false;
    for (const ReportSection& section : document.sections) {
        if (section.ofRun && !runs) {
            out.add("<h2 id=\"runs\">Runs</h2>\n");
            runs = true;
        }
        out.add(heading(section));
        for (const ReportBlock& block : section.blocks) {
            std::visit(out, block);
        }
    }
    out.add("</main>\n</body>\n</html>\n");
    return out.take();
}

} // namespace qw
