#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// What the plots of the window and of the report are made of: values only, ready to draw. A number
/// that is missing is NaN and leaves a gap.
namespace qw {

/// A place on the x axis with a name of its own.
struct PlotTick {
    double position = 0;
    std::string label;
    bool operator==(const PlotTick&) const = default;
};

/// A thin dashed line across the plot.
struct ReferenceLine {
    std::string name;
    double y = 0;
    bool operator==(const ReferenceLine&) const = default;
};

/// Points that belong together. All vectors that are not empty have the length of x.
struct Series {
    enum class Draw { LineAndPoints, Line, Points, Bars, Steps };
    std::string name;
    std::string method; ///< decides colour and marker (see method_style.h); empty: neutral
    int variant = 0;    ///< which of several series of one method; decides the dashes of the line
    bool quiet = false; ///< grey whatever the method: what the others are seen against
    Draw draw = Draw::LineAndPoints;
    std::vector<double> x;
    std::vector<double> y;
    std::vector<double> yError;      ///< one standard error
    std::vector<std::string> labels; ///< for people, on hover or beside the point
    std::vector<std::string> keys;   ///< what a click means: the id of a run or the name of a layer
    bool operator==(const Series&) const = default;
};

struct PlotData {
    std::string title;
    std::string xLabel; ///< with the unit
    std::string yLabel;
    bool logX = false;
    bool logY = false;
    bool labelPoints = false;     ///< write Series::labels beside the points where there is room
    std::vector<PlotTick> xTicks; ///< empty: numbers
    std::vector<Series> series;
    std::vector<ReferenceLine> references;
    std::string apart; ///< why these runs do not share the axes of the first plot, or empty
    std::string empty; ///< what would fill the plot, if nothing is in it
    bool operator==(const PlotData&) const = default;
};

/// A matrix of numbers as colours. The first row is drawn on top.
struct Heatmap {
    std::string title;
    std::string xLabel;
    std::string yLabel;
    std::string valueLabel; ///< with the unit
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::vector<double> values;           ///< [rows, cols], row by row
    std::vector<std::string> rowNames;    ///< empty: numbers
    std::vector<std::string> columnNames; ///< empty: numbers
    bool diverging = false;               ///< signed values: colours centred on zero
    std::string apart;                    ///< as in PlotData
    std::string empty;
    bool operator==(const Heatmap&) const = default;
};

/// One scale of a parallel-coordinates plot.
struct ParallelAxis {
    std::string label; ///< with the unit
    double low = 0;
    double high = 1;
    bool log = false;
    std::vector<PlotTick> ticks; ///< empty: numbers
    bool operator==(const ParallelAxis&) const = default;
};

struct ParallelLine {
    std::string name;
    std::string method;
    std::string key;            ///< id of the run
    std::vector<double> values; ///< one per axis
    bool operator==(const ParallelLine&) const = default;
};

struct ParallelPlot {
    std::string title;
    std::vector<ParallelAxis> axes;
    std::vector<ParallelLine> lines;
    std::string apart; ///< as in PlotData
    std::string empty;
    bool operator==(const ParallelPlot&) const = default;
};

} // namespace qw
