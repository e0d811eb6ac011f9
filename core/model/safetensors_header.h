#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "model/safetensors.h"

namespace qw {

struct SafetensorsHeader {
    std::map<std::string, TensorEntry> entries; ///< offsets from the start of the file
    std::map<std::string, std::string> metadata;
};

/// Parses and checks a header as a careful reader must, before anything is allocated for it.
/// Source: the checks of the reference reader (safetensors, tensor.rs), and duplicate keys.
/// @param file  the whole file; @param where  its name, for the sentences
/// @throws Error::BadFile
SafetensorsHeader readSafetensorsHeader(std::span<const std::byte> file, const std::string& where);

} // namespace qw
