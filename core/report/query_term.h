#pragma once

#include <string>
#include <vector>

namespace qw {

/// What can be asked for in a filter, for help texts.
struct QueryKey {
    std::string name;
    bool number = false;
    std::string meaning;
};

/// One term of a filter as people type it: a free word, or a key with what it must be.
struct QueryTerm {
    enum class Relation { Has, Equal, Less, LessEqual, Greater, GreaterEqual };
    bool negated = false;
    std::string key; ///< empty: a free word
    Relation relation = Relation::Has;
    std::vector<std::string> texts; ///< lower case
    std::vector<double> numbers;    ///< if the key is a number

    bool holds(double value) const; ///< a missing number fulfils no comparison
    bool holds(const std::vector<std::string>& values) const; ///< for any of them
};

/// Whether @p part, in lower case, is in @p text whatever its case.
bool hasPart(const std::string& text, const std::string& part);

/// @throws Error::BadInput, a sentence naming @p key
double queryNumber(const std::string& key, const std::string& text);

/// The words of a filter of one kind of thing.
struct QueryLanguage {
    std::string things;   ///< "runs", for the sentence about a key they do not have
    std::string examples; ///< keys named there
    std::vector<QueryKey> keys;
    double (*number)(const std::string& key, const std::string& text) = queryNumber;
};

/// Terms between spaces:
///     bits:3 method:lqer,qera ppl<40 -tag:old star:yes "two words"
/// `key:value` compares numbers and finds parts of texts whatever their case, `key=value` wants the
/// whole text, `<`, `<=`, `>`, `>=` compare numbers; several values with commas mean any of them; a
/// minus in front means not; other words are free.
/// @throws Error::BadInput, a sentence naming the term
std::vector<QueryTerm> parseQuery(const std::string& text, const QueryLanguage& language);

} // namespace qw
