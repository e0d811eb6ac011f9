#include "model/bpe.h"

#include "base/error.h"
#include "model/utf8.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>

namespace qw::tok {

namespace {

constexpr std::uint64_t kNoKey = ~std::uint64_t{0};

std::uint64_t keyOf(std::int32_t left, std::int32_t right)
{
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
}

/// "a b" or ["a", "b"].
std::pair<std::string, std::string> pairOf(const JsonTree& entry)
{
    if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
        return {entry[0].get<std::string>(), entry[1].get<std::string>()};
    }
    if (entry.is_string()) {
        const auto& text = entry.get_ref<const std::string&>();
        const std::size_t space = text.find(' ');
        if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
            return {text.substr(0, space), text.substr(space + 1)};
        }
    }
    return {};
}

} // namespace

void MergeTable::reserve(std::size_t count)
{
    m_slots.assign(std::bit_ceil(2 * count + 2), {kNoKey, {0, 0}});
}

std::size_t MergeTable::slotOf(std::uint64_t key) const
{
    const std::size_t mask = m_slots.size() - 1;
    std::uint64_t mixed = key * 0x9E3779B97F4A7C15ULL;
    mixed ^= mixed >> 32;
    std::size_t slot = mixed & mask;
    while (m_slots[slot].key != key && m_slots[slot].key != kNoKey) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

void MergeTable::insert(std::int32_t left, std::int32_t right, Merge merge)
{
    const std::uint64_t key = keyOf(left, right);
    m_slots[slotOf(key)] = {key, merge};
}

const MergeTable::Merge* MergeTable::find(std::int32_t left, std::int32_t right) const
{
    const std::uint64_t key = keyOf(left, right);
    const Slot& slot = m_slots[slotOf(key)];
    return slot.key == key ? &slot.merge : nullptr;
}

Bpe::Bpe(const Part& part)
{
    if (part["type"].textOr("BPE") != "BPE") {
        part["type"].unsupported("BPE");
    }
    const Part dropout = part["dropout"];
    if (!dropout.isNull() && dropout.value() != 0.0) {
        dropout.unsupported("null");
    }
    m_byteFallback = part["byte_fallback"].flagOr(false);
    m_fuseUnknown = part["fuse_unk"].flagOr(false);
    m_ignoreMerges = part["ignore_merges"].flagOr(false);
    m_prefix = part["continuing_subword_prefix"].textOr({});
    m_suffix = part["end_of_word_suffix"].textOr({});
    readVocabulary(part["vocab"]);
    const std::vector<MergeRule> rules = readMerges(part["merges"]);

    const Part unknown = part["unk_token"];
    if (!unknown.isNull()) {
        const auto id = idOf(unknown.text());
        if (!id) {
            unknown.bad("is \"" + unknown.text().substr(0, 80) + "\", which is not in model.vocab");
        }
        m_unknown = *id;
    }
    constexpr const char* kDigits = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; ++byte) {
        const std::string name = {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
        m_byteIds.push_back(idOf(name).value_or(-1));
    }
    findCrossings(rules);
}

void Bpe::readVocabulary(const Part& part)
{
    if (!part.isObject()) {
        part.bad("must be an object of tokens and ids, not " +
                 std::string(part.value().type_name()));
    }
    m_ids.reserve(part.size());
    // Ids have holes, but not so many that a small file could take all memory.
    const std::size_t idLimit = 4 * part.size() + (1 << 16);
    std::vector<bool> taken;
    for (const auto& [token, value] : part.value().items()) {
        if (!value.is_number_integer() || value < 0 || value >= (1 << 24)) {
            part[token].id(); // throws, with the place
        }
        const auto id = value.get<std::size_t>();
        if (id >= idLimit) {
            part[token].bad("is the id " + std::to_string(id) + " in a vocabulary of " +
                            std::to_string(part.size()) + " entries");
        }
        if (id >= m_tokens.size()) {
            m_tokens.resize(id + 1);
            taken.resize(id + 1);
        }
        if (taken[id]) {
            part.bad("gives the id " + std::to_string(id) + " to \"" + m_tokens[id].substr(0, 80) +
                     "\" and to \"" + token.substr(0, 80) + "\"");
        }
        taken[id] = true;
        m_tokens[id] = token;
        m_ids.emplace(token, static_cast<std::int32_t>(id));
    }
}

std::vector<Bpe::MergeRule> Bpe::readMerges(const Part& part)
{
    if (!part.isArray()) {
        part.bad("must be a list, not " + std::string(part.value().type_name()));
    }
    m_merges.reserve(part.size());
    std::size_t prefixLength = 0; // in code points, as the reference library counts it
    for (std::size_t at = 0; at < m_prefix.size(); at += codePointAt(m_prefix, at).length) {
        ++prefixLength;
    }
    std::int32_t rank = 0;
    std::vector<MergeRule> rules;
    for (std::size_t i = 0; i < part.size(); ++i) {
        const JsonTree& entry = part.value()[i];
        if (entry.is_string() && entry.get_ref<const std::string&>().starts_with("#version")) {
            continue;
        }
        const auto fail = [&](const std::string& what) {
            part.bad("has at place " + std::to_string(i) + " " + what);
        };
        const auto [left, right] = pairOf(entry);
        if (left.empty() || right.empty()) {
            fail("something other than \"a b\" or [\"a\", \"b\"]");
        }
        const auto known = [&](const std::string& token) {
            const auto id = idOf(token);
            if (!id) {
                fail("the token \"" + token.substr(0, 80) + "\", which is not in model.vocab");
            }
            return *id;
        };
        const std::int32_t leftId = known(left);
        const std::int32_t rightId = known(right);
        if (right.size() < prefixLength) {
            fail("a second token shorter than continuing_subword_prefix");
        }
        const std::int32_t merged = known(left + right.substr(prefixLength));
        m_merges.insert(leftId, rightId, {rank++, merged});
        rules.push_back({leftId, rightId, merged});
    }
    return rules;
}

/// Between two symbols that no merge ever brings together a word falls into parts that are merged
/// alone: tokenizers without a pre-tokenizer see a whole text as one word.
void Bpe::findCrossings(const std::vector<MergeRule>& rules)
{
    constexpr std::int32_t kNone = -1;
    struct Ends {
        std::int32_t first = kNone; ///< the symbol that the token begins with before all merges
        std::int32_t last = kNone;
    };
    std::vector<Ends> ends(m_tokens.size());
    const auto isSymbol = [&](std::int32_t id) {
        if (id >= 0) {
            ends[static_cast<std::size_t>(id)] = {id, id};
        }
    };
    isSymbol(m_unknown);
    std::for_each(m_byteIds.begin(), m_byteIds.end(), isSymbol);
    for (const auto& [token, id] : m_ids) {
        if (!token.empty() && codePointAt(token, 0).length == token.size()) {
            isSymbol(id);
        }
    }
    std::vector<bool> done(rules.size());
    std::vector<std::pair<std::int32_t, std::int32_t>> crossings;
    for (bool more = true; more;) { // a rule may stand before those that make its tokens
        more = false;
        for (std::size_t i = 0; i < rules.size(); ++i) {
            const Ends& left = ends[static_cast<std::size_t>(rules[i].left)];
            const Ends& right = ends[static_cast<std::size_t>(rules[i].right)];
            if (done[i] || left.first == kNone || right.first == kNone) {
                continue;
            }
            done[i] = more = true;
            crossings.emplace_back(left.last, right.first);
            Ends& merged = ends[static_cast<std::size_t>(rules[i].merged)];
            if (merged.first == kNone) {
                merged = {left.first, right.last};
            } else if (merged.first != left.first || merged.last != right.last) {
                return; // a token with two beginnings: words stay whole
            }
        }
    }
    m_crossings.reserve(crossings.size());
    for (const auto& [left, right] : crossings) {
        m_crossings.insert(left, right, {0, 0});
    }
    m_partsWords = m_prefix.empty() && m_suffix.empty(); // else symbols depend on the place
}

bool Bpe::parts(std::int32_t left, std::int32_t right) const
{
    return m_partsWords && m_crossings.find(left, right) == nullptr;
}

std::optional<std::int32_t> Bpe::idOf(std::string_view token) const
{
    const auto found = m_ids.find(token);
    return found == m_ids.end() ? std::nullopt : std::optional(found->second);
}

void Bpe::appendCharacters(std::string_view word, std::vector<std::int32_t>& ids) const
{
    bool unknownWaits = false;
    std::string decorated;
    for (std::size_t at = 0; at < word.size();) {
        const std::size_t length = codePointAt(word, at).length;
        std::string_view character = word.substr(at, length);
        const bool first = at == 0;
        at += length;
        const bool last = at == word.size();
        if ((!first && !m_prefix.empty()) || (last && !m_suffix.empty())) {
            decorated = first ? std::string() : m_prefix;
            decorated += character;
            decorated += last ? m_suffix : std::string();
            character = decorated;
        }
        if (const auto found = m_ids.find(character); found != m_ids.end()) {
            if (unknownWaits) {
                ids.push_back(m_unknown);
                unknownWaits = false;
            }
            ids.push_back(found->second);
            continue;
        }
        const auto byteId = [&](char c) { return m_byteIds[static_cast<std::uint8_t>(c)]; };
        if (m_byteFallback && std::all_of(character.begin(), character.end(),
                                          [&](char c) { return byteId(c) >= 0; })) {
            // An unknown that waits stays waiting: the reference library does the same.
            for (const char c : character) {
                ids.push_back(byteId(c));
            }
            continue;
        }
        if (m_unknown >= 0) {
            if (unknownWaits && !m_fuseUnknown) {
                ids.push_back(m_unknown);
            }
            unknownWaits = true;
        }
    }
    if (unknownWaits) {
        ids.push_back(m_unknown);
    }
}

void Bpe::merge(std::vector<std::int32_t>& ids) const
{
    struct Candidate {
        std::uint64_t order; ///< rank, then place: the lowest rank merges first, leftmost first
        std::int32_t id;
        bool operator<(const Candidate& other) const { return order > other.order; }
    };
    const auto count = static_cast<std::int32_t>(ids.size());
    std::vector<Symbol> symbols(ids.size());
    std::vector<Candidate> heap;
    heap.reserve(ids.size());
    const auto candidate = [&](std::int32_t left, std::int32_t right) {
        const auto* found = m_merges.find(symbols[static_cast<std::size_t>(left)].id,
                                          symbols[static_cast<std::size_t>(right)].id);
        if (!found) {
            return false;
        }
        heap.push_back(
            {static_cast<std::uint64_t>(found->rank) << 32 | static_cast<std::uint32_t>(left),
             found->id});
        return true;
    };
    for (std::int32_t i = 0; i < count; ++i) {
        symbols[static_cast<std::size_t>(i)] = {ids[static_cast<std::size_t>(i)], i - 1,
                                                i + 1 < count ? i + 1 : -1, true};
    }
    for (std::int32_t i = 0; i + 1 < count; ++i) {
        candidate(i, i + 1);
    }
    std::make_heap(heap.begin(), heap.end());
    while (!heap.empty()) {
        std::pop_heap(heap.begin(), heap.end());
        const Candidate top = heap.back();
        heap.pop_back();
        const auto place = static_cast<std::int32_t>(top.order & 0xFFFFFFFFU);
        Symbol& left = symbols[static_cast<std::size_t>(place)];
        if (!left.alive || left.next < 0) {
            continue;
        }
        Symbol& right = symbols[static_cast<std::size_t>(left.next)];
        const auto* current = m_merges.find(left.id, right.id);
        if (!current || current->id != top.id) {
            continue; // one side has changed since
        }
        left.id = top.id;
        right.alive = false;
        left.next = right.next;
        if (left.next >= 0) {
            symbols[static_cast<std::size_t>(left.next)].previous = place;
        }
        if (left.previous >= 0 && candidate(left.previous, place)) {
            std::push_heap(heap.begin(), heap.end());
        }
        if (left.next >= 0 && candidate(place, left.next)) {
            std::push_heap(heap.begin(), heap.end());
        }
    }
    ids.clear();
    for (const Symbol& symbol : symbols) {
        if (symbol.alive) {
            ids.push_back(symbol.id);
        }
    }
}

void Bpe::encode(std::string_view word, std::vector<std::int32_t>& ids) const
{
    QW_REQUIRE(word.size() < static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()),
               ErrorCode::BadInput, "the text has a word of ", word.size(),
               " bytes; at most 2147483646 can be tokenized.");
    if (m_ignoreMerges) {
        if (const auto whole = idOf(word)) {
            ids.push_back(*whole);
            return;
        }
    }
    std::vector<std::int32_t> own;
    own.reserve(word.size());
    appendCharacters(word, own);
    std::vector<std::int32_t> part;
    for (auto begin = own.cbegin(), end = begin; begin != own.cend(); begin = end) {
        while (++end != own.cend() && !parts(*std::prev(end), *end)) {
        }
        if (end - begin == 1) {
            ids.push_back(*begin);
            continue;
        }
        part.assign(begin, end);
        merge(part);
        ids.insert(ids.end(), part.begin(), part.end());
    }
}

} // namespace qw::tok
