#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "session.h"

namespace qw::cli {

namespace {
std::string commandWords(const CLI::App& command)
{
    std::string words;
    for (const CLI::App* sub : command.get_subcommands({})) {
        words += (words.empty() ? "" : " ") + sub->get_name();
    }
    return words;
}

std::string optionWords(const CLI::App& command)
{
    std::string words;
    for (const CLI::Option* option : command.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            words += (words.empty() ? "--" : " --") + name;
        }
    }
    return words;
}

/// Branches of a `case "$first:$second"` that set the array `candidates`: bash and zsh alike.
void printBranches(const CLI::App& app)
{
    for (const CLI::App* sub : app.get_subcommands({})) {
        for (const CLI::App* inner : sub->get_subcommands({})) {
            std::cout << "        " << sub->get_name() << ":" << inner->get_name()
                      << ") candidates=(" << optionWords(*inner) << ") ;;\n";
        }
        const std::string words = commandWords(*sub);
        std::cout << "        " << sub->get_name() << ":*) candidates=("
                  << (words.empty() ? optionWords(*sub) : words) << ") ;;\n";
    }
}

void printBash(const CLI::App& app)
{
    std::cout << "_qw() {\n"
                 "    local current=${COMP_WORDS[COMP_CWORD]} first=${COMP_WORDS[1]} second=\n"
                 "    local -a candidates=()\n"
                 "    [ \"$COMP_CWORD\" -le 2 ] || second=${COMP_WORDS[2]}\n"
                 "    [ \"$COMP_CWORD\" -gt 1 ] || first=\n"
                 "    case \"$first:$second\" in\n";
    printBranches(app);
    std::cout << "        :) candidates=(" << commandWords(app) << ") ;;\n"
              << "    esac\n"
                 "    COMPREPLY=($(compgen -W \"${candidates[*]}\" -- \"$current\"))\n"
                 "    [ \"$COMP_CWORD\" -le 1 ] || COMPREPLY+=($(compgen -f -- \"$current\"))\n"
                 "}\n"
                 "complete -o filenames -F _qw qw\n";
}

void printZsh(const CLI::App& app)
{
    std::cout << "#compdef qw\n"
                 "_qw() {\n"
                 "    local first= second=\n"
                 "    local -a candidates\n"
                 "    (( CURRENT <= 2 )) || first=${words[2]}\n"
                 "    (( CURRENT <= 3 )) || second=${words[3]}\n"
                 "    case \"$first:$second\" in\n";
    printBranches(app);
    std::cout << "        :) candidates=(" << commandWords(app) << ") ;;\n"
              << "    esac\n"
                 "    compadd -- \"${candidates[@]}\"\n"
                 "    (( CURRENT <= 2 )) || _files\n"
                 "}\n"
                 // As a file of $fpath it is the function's first call; else it is sourced.
                 "if [[ $funcstack[1] == _qw ]]; then _qw \"$@\"; else compdef _qw qw; fi\n";
}

/// Single quotes for fish, where only they and the backslash are special inside.
std::string quoted(const std::string& text)
{
    std::string out = "'";
    for (const char c : text) {
        out += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string{c};
    }
    return out + "'";
}

void printFish(const CLI::App& app)
{
    const auto command = [](const CLI::App& sub, const std::string& condition) {
        std::cout << "complete -c qw -n " << quoted(condition) << " -f -a " << sub.get_name()
                  << " -d " << quoted(sub.get_description()) << '\n';
    };
    const auto options = [](const CLI::App& sub, const std::string& condition) {
        for (const CLI::Option* option : sub.get_options()) {
            for (const std::string& name : option->get_lnames()) {
                std::cout << "complete -c qw -n " << quoted(condition) << " -l " << name
                          << (option->get_items_expected_max() > 0 ? " -r" : "") << " -d "
                          << quoted(option->get_description()) << '\n';
            }
        }
    };
    for (const CLI::App* sub : app.get_subcommands({})) {
        command(*sub, "__fish_use_subcommand");
        const std::string seen = "__fish_seen_subcommand_from " + sub->get_name();
        for (const CLI::App* inner : sub->get_subcommands({})) {
            command(*inner, seen);
            options(*inner, seen + "; and __fish_seen_subcommand_from " + inner->get_name());
        }
        options(*sub, seen);
    }
}
} // namespace

void addCompletion(CLI::App& app, Session& session)
{
    CLI::App& command = *app.add_subcommand("completion", "Print a completion script for a shell");
    session.addTo(command);
    static std::string shell = "bash";
    command.add_option("shell", shell, "bash | zsh | fish (default bash)")
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    command.footer("Examples:\n  source <(qw completion bash)\n"
                   "  qw completion zsh > ~/.zfunc/_qw\n"
                   "  qw completion fish > ~/.config/fish/completions/qw.fish");
    onRun(command, [&app] {
        if (shell == "bash") {
            printBash(app);
        } else if (shell == "zsh") {
            printZsh(app);
        } else {
            printFish(app);
        }
        return 0;
    });
}

} // namespace qw::cli
