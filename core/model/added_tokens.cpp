#include "model/added_tokens.h"

#include "model/utf8.h"

#include <algorithm>
#include <unordered_set>

namespace qw::tok {

namespace {

constexpr std::size_t kMaxContent = 4096;

bool wordEndsAt(std::string_view text, std::size_t at)
{
    return at > 0 && isWordCharacter(codePointAt(text, previousBoundary(text, at)).value);
}

bool wordStartsAt(std::string_view text, std::size_t at)
{
    return at < text.size() && isWordCharacter(codePointAt(text, at).value);
}

} // namespace

void AddedTokens::Trie::add(std::string_view content, std::int32_t index)
{
    if (content.empty()) {
        return;
    }
    starts[static_cast<std::uint8_t>(content[0])] = true;
    std::uint64_t node = 0;
    for (const char c : content) {
        const std::uint64_t key = node << 8 | static_cast<std::uint8_t>(c);
        const auto [edge, fresh] = edges.emplace(key, static_cast<std::uint32_t>(token.size()));
        if (fresh) {
            token.push_back(-1);
        }
        node = edge->second;
    }
    if (token[node] < 0) { // the first of equal contents wins
        token[node] = index;
    }
}

AddedTokens::AddedTokens(const Part& part, const Normalizer& normalizer)
{
    if (part.isNull()) {
        return;
    }
    std::unordered_set<std::int32_t> ids;
    std::unordered_set<std::string> contents;
    for (const Part& entry : part.elements()) {
        AddedToken token{entry["id"].id(),
                         entry["content"].text(),
                         entry["single_word"].flagOr(false),
                         entry["lstrip"].flagOr(false),
                         entry["rstrip"].flagOr(false),
                         entry["normalized"].flagOr(!entry["special"].flagOr(false)),
                         entry["special"].flagOr(false)};
        if (token.content.size() > kMaxContent) {
            entry["content"].bad("is longer than 4096 bytes");
        }
        if (!ids.insert(token.id).second) {
            entry["id"].bad("is " + std::to_string(token.id) + ", which another added token has");
        }
        if (!contents.insert(token.content).second) {
            entry["content"].bad("is the content of another added token as well");
        }
        m_tokens.push_back(std::move(token));
    }
    // The reference library adds the special ones first; it matters where two normalize alike.
    std::stable_sort(m_tokens.begin(), m_tokens.end(),
                     [](const AddedToken& a, const AddedToken& b) {
                         return a.special != b.special ? a.special : a.id < b.id;
                     });
    for (std::size_t i = 0; i < m_tokens.size(); ++i) {
        const auto index = static_cast<std::int32_t>(i);
        if (m_tokens[i].normalized) {
            m_normalized.add(normalizer.normalize(m_tokens[i].content), index);
        } else {
            m_raw.add(m_tokens[i].content, index);
        }
    }
}

std::vector<Fragment> AddedTokens::cut(std::string_view text, const Trie& trie) const
{
    std::vector<Fragment> fragments;
    std::size_t done = 0;
    for (std::size_t at = 0; at < text.size();) {
        if (!trie.starts[static_cast<std::uint8_t>(text[at])]) {
            ++at;
            continue;
        }
        std::int32_t found = -1;
        std::size_t foundEnd = at;
        std::uint64_t node = 0;
        for (std::size_t i = at; i < text.size(); ++i) {
            const auto edge = trie.edges.find(node << 8 | static_cast<std::uint8_t>(text[i]));
            if (edge == trie.edges.end()) {
                break;
            }
            node = edge->second;
            if (trie.token[node] >= 0) {
                found = trie.token[node];
                foundEnd = i + 1;
            }
        }
        if (found < 0) {
            ++at;
            continue;
        }
        const AddedToken& token = m_tokens[static_cast<std::size_t>(found)];
        std::size_t begin = at;
        std::size_t end = foundEnd;
        at = foundEnd; // also for a match given up below: matches never overlap
        if (token.singleWord && (wordEndsAt(text, begin) || wordStartsAt(text, end))) {
            continue;
        }
        if (token.lstrip) {
            while (begin > done) {
                const std::size_t before = previousBoundary(text, begin);
                if (!isSpaceCharacter(codePointAt(text, before).value)) {
                    break;
                }
                begin = before;
            }
            begin = std::max(begin, done);
        }
        if (token.rstrip) {
            while (end < text.size()) {
                const CodePoint after = codePointAt(text, end);
                if (!isSpaceCharacter(after.value)) {
                    break;
                }
                end += after.length;
            }
        }
        if (done < begin) {
            fragments.push_back({text.substr(done, begin - done), -1});
        }
        fragments.push_back({text.substr(begin, end - begin), token.id});
        done = end;
    }
    if (done < text.size()) {
        fragments.push_back({text.substr(done), -1});
    }
    return fragments;
}

} // namespace qw::tok
