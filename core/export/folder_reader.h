#pragma once

#include "base/json_io.h"
#include "export/export_reader.h"
#include "export/folder_scheme.h"
#include "export/tensor_files.h"

namespace qw {

/// A folder with config.json and safetensors.
class FolderReader : public ExportReader
{
public:
    /// @throws Error::NotFound, BadFile, Unsupported
    FolderReader(const std::filesystem::path& folder, bool storedInByOut);

    const QuantizationScheme& scheme() const { return m_scheme; }
    /// A linear layer that the files hold as codes.
    struct CodedLayer {
        std::string module;
        std::int64_t out = 0, in = 0;
    };
    /// Shapes are what the tensors make of them.
    std::vector<CodedLayer> codedLayers();
    /// Tensors that belong to no such layer.
    std::vector<std::string> plainTensors();
    /// As the file has it, borrowed.
    at::Tensor stored(const std::string& name) { return m_files.take(name); }

    bool has(const std::string& tensor) const override { return m_files.has(tensor); }
    std::optional<StoredCodes> codes(const std::string& module, std::int64_t out,
                                     std::int64_t in) override;
    at::Tensor plainWeight(const std::string& module, std::int64_t out, std::int64_t in) override;
    at::Tensor tensor(const std::string& name) override
    {
        return m_files.take(name).to(at::kFloat);
    }
    std::vector<std::string> unread() const override { return m_files.unread(); }
    std::vector<std::string> remarks() const override;

private:
    std::string where() const { return m_files.folder().string(); }
    CodedLayer codedLayer(const std::string& module);
    /// [out, in] of a packed layer. @throws Error::BadFile
    std::pair<std::int64_t, std::int64_t> packedShape(const std::string& module);
    StoredCodes packed(const std::string& module, std::int64_t out, std::int64_t in,
                       const LayerScheme& scheme);
    StoredCodes integers(const std::string& module, std::int64_t out, std::int64_t in,
                         const LayerScheme& scheme);
    StoredCodes gptq(const std::string& module, std::int64_t out, std::int64_t in,
                     const LayerScheme& scheme);
    StoredCodes awq(const std::string& module, std::int64_t out, std::int64_t in,
                    const LayerScheme& scheme);
    /// Scales as they lie in the file.
    void takeScales(StoredCodes& stored, const std::string& name, std::int64_t rows,
                    std::int64_t cols);
    /// Groups one after the other, or as a tensor of the file says.
    void takeGroups(StoredCodes& stored, const std::string& name, std::int64_t in,
                    std::int64_t groups);

    TensorFiles m_files;
    QuantizationScheme m_scheme;
    bool m_storedInByOut;
    bool m_zerosOfVersion2 = false; ///< under the name of version 1
};

} // namespace qw
