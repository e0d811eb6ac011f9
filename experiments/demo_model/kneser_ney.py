#!/usr/bin/env python3
"""Perplexity of an interpolated modified Kneser-Ney model of order 3 on the demo model's tokens.

Needs numpy and tokenizers (PyPI).

    python3 kneser_ney.py --data DIR --text FILE [--seqlen 512] [--json]
    python3 kneser_ney.py --self-test

DIR is what prepare.py wrote. The formulas are those of Chen and Goodman, "An empirical study of
smoothing techniques for language modeling" (1999), equations 27 to 29: three discounts an order,
continuation counts below the highest order, the lowest order interpolated with the uniform
distribution over the vocabulary.

Scored are the same predictions as in the GPTQ protocol: the text is tokenised once with BOS in
front and cut into windows of seqlen tokens, the remainder dropped, and every token of a window but
its first is predicted. The network sees its window only; the trigram always gets the two true
preceding tokens, across the window's edge too, which favours the trigram.
"""

import argparse
import json
import math
import pathlib

import numpy as np


def discounts(counts):
    """D1, D2, D3+ of Chen and Goodman, equation 26, from the counts of counts."""
    n = [int(np.count_nonzero(counts == i)) for i in range(1, 5)]
    y = n[0] / (n[0] + 2 * n[1]) if n[0] else 0.5
    result = []
    for i in range(3):
        d = i + 1 - (i + 2) * y * n[i + 1] / n[i] if n[i] else 0.5 * (i + 1)
        result.append(min(max(d, 0.0), i + 1.0))
    return np.array([0.0] + result)


class Order:
    """Counts of one order: n-grams packed into sorted int64 keys, context * vocabulary + word."""

    def __init__(self, keys, counts, vocabulary):
        self.keys, self.counts, self.vocabulary = keys, counts, vocabulary
        discount = discounts(counts)
        taken = discount[np.minimum(counts, 3)]
        context = keys // vocabulary
        self.contexts, start = np.unique(context, return_index=True)
        self.totals = np.add.reduceat(counts, start).astype(np.float64)
        self.kept = counts - taken  # numerator of the discounted probability
        self.gamma = np.add.reduceat(taken, start) / self.totals

    def probability(self, context, word, lower):
        """Interpolates with the lower order's probabilities; unseen contexts leave them as is."""
        key = context * self.vocabulary + word
        at = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        kept = np.where(self.keys[at] == key, self.kept[at], 0.0)
        c = np.minimum(np.searchsorted(self.contexts, context), len(self.contexts) - 1)
        seen = self.contexts[c] == context
        return np.where(seen, kept / self.totals[c] + self.gamma[c] * lower, lower)


class KneserNey:
    """Order-3 model over integer tokens below `vocabulary`."""

    def __init__(self, tokens, vocabulary):
        t = np.asarray(tokens, dtype=np.int64)
        self.vocabulary = v = vocabulary
        tri, tri_counts = np.unique((t[:-2] * v + t[1:-1]) * v + t[2:], return_counts=True)
        # Continuation counts: of a bigram, the words seen before it; of a word, the bigrams it ends.
        bi, bi_counts = np.unique(tri % (v * v), return_counts=True)
        pairs = np.unique(t[:-1] * v + t[1:])
        uni, uni_counts = np.unique(pairs % v, return_counts=True)
        self.trigram = Order(tri, tri_counts, v)
        self.bigram = Order(bi, bi_counts, v)
        self.unigram = Order(uni, uni_counts, v)

    def probability(self, first, second, word):
        """P(word | first, second), elementwise over int64 arrays."""
        p = np.full(np.shape(word), 1.0 / self.vocabulary)
        p = self.unigram.probability(np.zeros_like(word), word, p)
        p = self.bigram.probability(second, word, p)
        return self.trigram.probability(first * self.vocabulary + second, word, p)


def reference_probability(tokens, vocabulary, a, b, word):
    """The same formula spelled out with dictionaries, for the self-test."""
    from collections import Counter, defaultdict
    tri = Counter(zip(tokens, tokens[1:], tokens[2:]))
    bi = Counter((y, z) for _, y, z in tri)
    uni = Counter(y for _, y in set(zip(tokens, tokens[1:])))

    def order(table, context, lower):
        d = discounts(np.array(list(table.values())))
        following = {k[-1]: c for k, c in table.items() if k[:-1] == context}
        if not following:
            return lower
        total = sum(following.values())
        bins = defaultdict(int)
        for c in following.values():
            bins[min(c, 3)] += 1
        gamma = sum(d[i] * n for i, n in bins.items()) / total
        c = following.get(word, 0)
        return (max(c - d[min(c, 3)], 0) if c else 0.0) / total + gamma * lower

    p = order({(k,): c for k, c in uni.items()}, (), 1.0 / vocabulary)
    p = order(bi, (b,), p)
    return order(tri, (a, b), p)


def self_test():
    rng = np.random.default_rng(3)
    vocabulary = 11
    tokens = np.minimum(rng.geometric(0.3, 400), 9).astype(np.int64)  # 0 and 10 never occur
    model = KneserNey(tokens, vocabulary)
    words = np.arange(vocabulary, dtype=np.int64)
    worst = 0.0
    for a in range(vocabulary):
        for b in range(vocabulary):
            p = model.probability(np.full_like(words, a), np.full_like(words, b), words)
            assert (p > 0).all(), "every word has a probability above zero"
            worst = max(worst, abs(p.sum() - 1.0))
    assert worst < 1e-12, f"probabilities sum to one within {worst}"
    listed = tokens.tolist()
    for a, b, w in rng.integers(0, vocabulary, (60, 3)).tolist() + [listed[i:i + 3]
                                                                    for i in range(60)]:
        got = float(model.probability(np.int64([a]), np.int64([b]), np.int64([w]))[0])
        want = reference_probability(listed, vocabulary, a, b, w)
        assert abs(got - want) < 1e-12, (a, b, w, got, want)
    print(f"self-test passed: sums within {worst:.1e} of one over {vocabulary**2} contexts, "
          "120 probabilities equal to the spelled-out formula")


def scored_positions(count, seqlen):
    """Indices of the tokens predicted in the GPTQ protocol."""
    windows = count // seqlen
    return np.concatenate([np.arange(i * seqlen + 1, (i + 1) * seqlen) for i in range(windows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path)
    parser.add_argument("--seqlen", type=int, default=512)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        return self_test()

    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(args.data / "tokenizer.json"))
    vocabulary = tokenizer.get_vocab_size()
    # The text's newlines and spaces as they stand.
    text = args.text.read_bytes().decode("utf-8")
    ids = np.array(tokenizer.encode(text).ids, dtype=np.int64)
    train = np.fromfile(args.data / "train.bin", dtype="<u2").astype(np.int64)
    segments = [line.split() for line in (args.data / "segments.txt").read_text().splitlines()]
    at = scored_positions(len(ids), args.seqlen)
    second = ids[at - 1]
    first = np.where(at > 1, ids[np.maximum(at - 2, 0)], tokenizer.token_to_id("<|end_of_text|>"))

    rows = []
    for name, least in (("all works", 0.0), ("works of sampling weight 0.8 and more", 0.8)):
        parts = [train[int(b):int(b) + int(n)] for _, b, n, w in segments if float(w) >= least]
        tokens = np.concatenate(parts)
        nll = -np.log(KneserNey(tokens, vocabulary).probability(first, second, ids[at]))
        mean, error = float(nll.mean()), float(nll.std(ddof=1) / math.sqrt(len(nll)))
        rows.append({"counts_from": name, "training_tokens": len(tokens), "tokens": len(nll),
                     "seqlen": args.seqlen, "nll": mean, "nll_stderr": error,
                     "perplexity": math.exp(mean)})
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        for r in rows:
            print(f"KN-3 from {r['counts_from']} ({r['training_tokens']} tokens): perplexity "
                  f"{r['perplexity']:.2f}, nll {r['nll']:.4f} +- {r['nll_stderr']:.4f} over "
                  f"{r['tokens']} tokens")


if __name__ == "__main__":
    main()
