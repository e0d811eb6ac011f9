#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "session.h"

namespace qw::cli {

namespace {
/// Words that may follow: subcommands and long options.
std::string wordsOf(const CLI::App& command)
{
    std::string words;
    for (const CLI::App* sub : command.get_subcommands({})) {
        words += sub->get_name() + " ";
    }
    for (const CLI::Option* option : command.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            words += "--" + name + " ";
        }
    }
    return words;
}
} // namespace

void addCompletion(CLI::App& app)
{
    CLI::App& command =
        *app.add_subcommand("completion", "Print a completion script: source <(qw completion)");
    onRun(command, [&app] {
        std::cout << "_qw() {\n"
                     "    local current=${COMP_WORDS[COMP_CWORD]} words\n"
                     "    case \"${COMP_WORDS[1]}\" in\n";
        for (const CLI::App* sub : app.get_subcommands({})) {
            std::cout << "        " << sub->get_name() << ") words=\"" << wordsOf(*sub)
                      << "\" ;;\n";
        }
        std::cout << "    esac\n"
                     "    [ \"$COMP_CWORD\" -gt 1 ] || words=\""
                  << wordsOf(app)
                  << "\"\n"
                     "    COMPREPLY=($(compgen -W \"$words\" -f -- \"$current\"))\n"
                     "}\n"
                     "complete -o filenames -F _qw qw\n";
        return 0;
    });
}

} // namespace qw::cli
