#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "random_model.h"

int main(int argc, char** argv)
{
    CLI::App app{"Write a Hugging Face folder of a Llama with random weights.", "qw_random_model"};
    std::string folder;
    qw::RandomModelSpec spec;
    app.add_option("folder", folder, "Where to")->required();
    app.add_option("--hidden", spec.hidden, "Width of the residual stream")->capture_default_str();
    app.add_option("--intermediate", spec.intermediate, "Width of the MLP")->capture_default_str();
    app.add_option("--layers", spec.layers, "Blocks")->capture_default_str();
    app.add_option("--heads", spec.heads, "Attention heads")->capture_default_str();
    app.add_option("--kv-heads", spec.kvHeads, "Key-value heads")->capture_default_str();
    app.add_option("--vocabulary", spec.vocabulary, "Rows of the embedding")->capture_default_str();
    app.add_option("--max-positions", spec.maxPositions, "Longest text")->capture_default_str();
    app.add_flag("--tied", spec.tied, "The head is the embedding");
    app.add_option("--seed", spec.seed, "Of the weights")->capture_default_str();
    app.add_option("--shard-bytes", spec.shardBytes, "Split the weights into files of this size");
    CLI11_PARSE(app, argc, argv);
    try {
        qw::writeRandomModel(folder, spec);
    } catch (const std::exception& problem) {
        std::cerr << "qw_random_model: " << problem.what() << '\n';
        return 1;
    }
    return 0;
}
