#include "parse_problem.h"

#include <algorithm>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "base/json_io.h"

namespace qw::cli {

namespace {
std::string didYouMean(const std::string& word, const std::vector<std::string>& known)
{
    const std::string nearest = nearestName(word, known);
    return nearest.empty() ? std::string() : "; did you mean " + nearest + "?";
}

std::vector<std::string> commandNames(const CLI::App& command)
{
    std::vector<std::string> names;
    for (const CLI::App* sub : command.get_subcommands({})) {
        names.push_back(sub->get_name());
    }
    return names;
}

std::vector<std::string> optionNames(const CLI::App& command)
{
    std::vector<std::string> names;
    for (const CLI::Option* option : command.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            names.push_back("--" + name);
        }
    }
    return names;
}

bool holds(const std::vector<std::string>& names, const std::string& name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// What was typed for the value that CLI11 could not convert: its text is "...: --bits = x".
std::string conversionSentence(const CLI::App& command, const std::string& text)
{
    const auto colon = text.find(": ");
    const auto equals = text.find(" = ");
    if (colon == std::string::npos || equals == std::string::npos || equals < colon) {
        return text;
    }
    const std::string name = text.substr(colon + 2, equals - colon - 2);
    const CLI::Option* option = command.get_option_no_throw(name);
    const bool whole = option != nullptr && option->get_type_name().rfind("INT", 0) == 0;
    return name + " \"" + text.substr(equals + 3) + "\" is not a " +
           (whole ? "whole number" : "number");
}
} // namespace

std::string sentenceFor(const CLI::App& app, const std::vector<std::string>& arguments,
                        const CLI::ParseError& problem)
{
    const CLI::App* command = &app;
    std::string called = "qw";
    std::size_t next = 0;
    while (next < arguments.size() && holds(commandNames(*command), arguments[next])) {
        command = command->get_subcommand(arguments[next]);
        called += " " + arguments[next++];
    }
    const std::vector<std::string> commands = commandNames(*command);
    if (!commands.empty()) {
        if (next >= arguments.size()) {
            return called + ": a command is missing; see " + called + " --help";
        }
        if (!arguments[next].starts_with('-')) {
            return called + ": unknown command " + arguments[next] +
                   didYouMean(arguments[next], commands);
        }
    }
    if (problem.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
        const std::vector<std::string> options = optionNames(*command);
        for (std::size_t i = next; i < arguments.size(); ++i) {
            const std::string word = arguments[i].substr(0, arguments[i].find('='));
            if (word.starts_with('-') && !holds(options, word)) {
                return called + ": unknown option " + word + didYouMean(word, options);
            }
        }
    }
    std::string text = problem.what();
    if (problem.get_exit_code() == static_cast<int>(CLI::ExitCodes::ConversionError)) {
        text = conversionSentence(*command, text);
    }
    std::replace(text.begin(), text.end(), '\n', ' ');
    return called + ": " + text;
}

} // namespace qw::cli
