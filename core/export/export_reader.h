#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "export/stored_codes.h"

namespace qw {

/// Reads the models of other programs. Shares no code with the writers: codes are picked bit by
/// bit, as the formats' descriptions say. Names are those of the Hugging Face model.
class ExportReader
{
public:
    virtual ~ExportReader() = default;
    virtual bool has(const std::string& tensor) const = 0;
    /// The codes of a linear layer, or nothing if its weight is plain numbers.
    /// @throws Error::NotFound, BadFile, Unsupported naming file and tensor, expected and found
    virtual std::optional<StoredCodes> codes(const std::string& module, std::int64_t out,
                                             std::int64_t in) = 0;
    /// A weight of plain numbers. [out, in] float32
    virtual at::Tensor plainWeight(const std::string& module, std::int64_t out,
                                   std::int64_t in) = 0;
    /// Any other tensor, float32 in the file's orientation.
    virtual at::Tensor tensor(const std::string& name) = 0;
    /// Tensors of the files that nobody asked for.
    virtual std::vector<std::string> unread() const = 0;
    /// What was found while reading and is good to know, a sentence each.
    virtual std::vector<std::string> remarks() const { return {}; }

    /// The weight of a linear layer, codes times scales. [out, in] float32
    at::Tensor linearWeight(const std::string& module, std::int64_t out, std::int64_t in)
    {
        const std::optional<StoredCodes> stored = codes(module, out, in);
        return stored ? valuesOf(*stored) : plainWeight(module, out, in);
    }
};

/// A folder with config.json and safetensors: plain, compressed-tensors, GPTQ or AWQ, as its
/// config.json says.
/// @param storedInByOut  whether plain weights of linears are [in, out] (GPT-2)
std::unique_ptr<ExportReader> readFolder(const std::filesystem::path& folder, bool storedInByOut);

/// A PEFT adapter folder.
class AdapterReader
{
public:
    struct Factors {
        at::Tensor a; ///< [in, r], or undefined
        at::Tensor b; ///< [r, out], scaled by alpha / r
    };
    virtual ~AdapterReader() = default;
    virtual Factors factors(const std::string& module) = 0;
    virtual std::vector<std::string> unread() const = 0;
};
std::unique_ptr<AdapterReader> readPeft(const std::filesystem::path& folder);

} // namespace qw
