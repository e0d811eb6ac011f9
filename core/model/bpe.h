#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/tokenizer_json.h"

namespace qw::tok {

/// (left id, right id) -> (rank, merged id), open addressing: the hot loop of BPE lives here.
class MergeTable
{
public:
    struct Merge {
        std::int32_t rank;
        std::int32_t id;
    };
    void reserve(std::size_t count);
    /// A pair that is there already gets the new values.
    void insert(std::int32_t left, std::int32_t right, Merge merge);
    /// nullptr if the pair does not merge.
    const Merge* find(std::int32_t left, std::int32_t right) const;

private:
    struct Slot {
        std::uint64_t key;
        Merge merge;
    };
    std::size_t slotOf(std::uint64_t key) const;
    std::vector<Slot> m_slots;
};

/// The "model" of tokenizer.json, of type BPE.
class Bpe
{
public:
    /// @throws Error::Unsupported, BadFile naming the part
    explicit Bpe(const Part& part);

    /// Appends the ids of one word.
    void encode(std::string_view word, std::vector<std::int32_t>& ids) const;
    std::optional<std::int32_t> idOf(std::string_view token) const;
    /// Tokens by id; empty where the vocabulary has a hole.
    const std::vector<std::string>& tokens() const { return m_tokens; }

private:
    struct Symbol {
        std::int32_t id;
        std::int32_t previous;
        std::int32_t next;
        bool alive;
    };
    struct MergeRule {
        std::int32_t left, right, merged;
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const
        {
            return std::hash<std::string_view>()(text);
        }
    };
    void readVocabulary(const Part& part);
    std::vector<MergeRule> readMerges(const Part& part);
    void findCrossings(const std::vector<MergeRule>& rules);
    bool parts(std::int32_t left, std::int32_t right) const;
    void appendCharacters(std::string_view word, std::vector<std::int32_t>& ids) const;
    void merge(std::vector<std::int32_t>& ids) const;

    std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> m_ids;
    std::vector<std::string> m_tokens;
    MergeTable m_merges;
    MergeTable m_crossings;              ///< pairs of first symbols that some merge brings together
    bool m_partsWords = false;           ///< whether m_crossings is known
    std::vector<std::int32_t> m_byteIds; ///< of <0x00>..<0xFF>, -1 where missing
    std::int32_t m_unknown = -1;
    bool m_byteFallback = false;
    bool m_fuseUnknown = false;
    bool m_ignoreMerges = false;
    std::string m_prefix; ///< of all characters but the first
    std::string m_suffix; ///< of the last character
};

} // namespace qw::tok
