#pragma once

#include <string>
#include <vector>

#include "base/json_io.h"

namespace qw {

/// How one linear layer is stored.
struct LayerScheme {
    enum class Kind { Packed, Integers, Gptq, Awq };
    Kind kind = Kind::Packed;
    std::int64_t bits = 4;
    std::int64_t group = -1; ///< columns; -1: whole rows
    bool symmetric = true;
    std::int64_t zeroOffset = 0;    ///< GPTQ version 1 stores one less
    bool declaredSymmetric = false; ///< GPTQ: zero points are all in the middle
};

/// What config.json's "quantization_config" says, or that there is none.
class QuantizationScheme
{
public:
    QuantizationScheme() = default;
    /// @param where  for sentences. @throws Error::Unsupported, BadFile naming the key
    QuantizationScheme(const Json& quantization, std::string where);

    /// "compressed-tensors", "gptq", "awq"; empty: none
    const std::string& method() const { return m_method; }
    /// "GPTQ, version 1"
    std::string title() const;
    /// Of a layer whose codes are in the files. @throws Error::Unsupported
    LayerScheme ofCoded(const std::string& module) const;
    /// Whether clients round the inputs of layers to 8 bits, token by token, symmetrically.
    bool tokenActivations() const { return m_tokenActivations; }
    /// What the files ask of clients and is not done here, a sentence each.
    const std::vector<std::string>& notDone() const { return m_notDone; }

private:
    struct Group {
        std::vector<std::string> targets;
        LayerScheme scheme;
    };
    void readCompressedTensors(const Json& quantization);
    void readActivations(const Json& activations);
    void readGptq(const Json& quantization);
    void readAwq(const Json& quantization);

    std::string m_where;
    std::string m_method;
    std::vector<Group> m_groups; ///< of the others: one
    bool m_tokenActivations = false;
    std::vector<std::string> m_notDone;
};

} // namespace qw
