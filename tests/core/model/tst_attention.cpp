#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <QtTest>

#include "base/error.h"
#include "model/attention.h"
#include "model/attention_kernel.h"
#include "support/tensor_golden.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

namespace {
at::Tensor noise(const std::vector<std::int64_t>& shape, std::uint64_t seed)
{
    return at::randn(shape, at::detail::createCPUGenerator(seed), at::kFloat);
}

struct Operands {
    at::Tensor q, k, v;

    Operands to(at::ScalarType type) const { return {q.to(type), k.to(type), v.to(type)}; }
};

template <class Element>
at::Tensor kernel(const Operands& x, const AttentionOptions& options, Simd simd)
{
    at::Tensor out = at::empty_like(x.q);
    const AttentionShape shape{
        x.q.size(0),           x.q.size(1),    x.k.size(1),
        x.q.size(2),           x.k.size(2),    x.q.size(3),
        options.firstPosition, options.window, static_cast<float>(options.scale)};
    attentionKernel(shape, headsView<const Element>(x.q), headsView<const Element>(x.k),
                    headsView<const Element>(x.v), headsView<Element>(out), simd);
    return out;
}

at::Tensor plain(const Operands& x, const AttentionOptions& options)
{
    return plainAttention(x.q, x.k, x.v, options);
}
} // namespace

class TestAttention : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void kernelEqualsPlain_data()
    {
        struct Case {
            const char* name;
            int batch, heads, kvHeads, queries, past, window, dim;
        };
        const Case cases[] = {
            {"one tile", 1, 2, 2, 40, 0, 0, 16},
            {"uneven tiles", 1, 2, 1, 301, 0, 0, 16},
            {"several key blocks", 1, 2, 1, 700, 0, 0, 64},
            {"grouped queries, batch", 3, 6, 2, 130, 0, 0, 32},
            {"after a cache", 2, 6, 2, 150, 37, 0, 16},
            {"long cache", 1, 4, 2, 5, 900, 0, 64},
            {"one query", 2, 6, 2, 1, 200, 0, 64},
            {"one query of one key", 1, 2, 1, 1, 0, 0, 64},
            {"three queries", 1, 4, 2, 3, 270, 0, 16},
            {"narrow window", 2, 6, 2, 300, 0, 10, 16},
            {"window of one", 1, 2, 1, 260, 0, 1, 16},
            {"window over tiles", 1, 4, 2, 300, 11, 180, 16},
            {"window over key blocks", 2, 2, 1, 900, 0, 300, 16},
            {"window longer than the text", 1, 2, 1, 90, 0, 5000, 16},
            {"one query, window", 1, 4, 1, 1, 300, 33, 64},
            {"odd head size", 1, 2, 1, 70, 0, 0, 5},
            {"head of 12", 1, 4, 2, 70, 0, 0, 12},
            {"head of 80", 1, 2, 1, 200, 0, 0, 80},
            {"head of 96", 1, 2, 1, 200, 0, 0, 96},
            {"head of 112", 1, 2, 1, 200, 0, 0, 112},
            {"head of 128", 1, 2, 1, 200, 0, 0, 128},
        };
        QTest::addColumn<QVector<int>>("sizes");
        for (const Case& c : cases) {
            QTest::newRow(c.name) << QVector<int>{c.batch, c.heads,  c.kvHeads, c.queries,
                                                  c.past,  c.window, c.dim};
        }
    }
    void kernelEqualsPlain()
    {
        QFETCH(QVector<int>, sizes);
        const std::int64_t queries = sizes[3];
        const std::int64_t past = sizes[4];
        const std::int64_t dim = sizes[6];
        const Operands x{noise({sizes[0], sizes[1], queries, dim}, 1),
                         noise({sizes[0], sizes[2], queries + past, dim}, 2),
                         noise({sizes[0], sizes[2], queries + past, dim}, 3)};
        const AttentionOptions options{1 / std::sqrt(static_cast<double>(dim)), sizes[5], past};
        const at::Tensor expected = plain(x, options);
        const Operands narrow = x.to(at::kBFloat16);
        const at::Tensor narrowExpected = plain(narrow.to(at::kFloat), options);
        for (int level = 0; level <= static_cast<int>(bestSimd()); ++level) {
            const auto simd = static_cast<Simd>(level);
            const double gap = relativeGap(kernel<float>(x, options, simd), expected);
            QVERIFY2(gap <= kRegroupGap, qPrintable(QString("%1, f32: %2").arg(level).arg(gap)));
            const double narrowGap =
                relativeGap(kernel<std::uint16_t>(narrow, options, simd), narrowExpected);
            QVERIFY2(narrowGap <= kBfloat16RoundingGap,
                     qPrintable(QString("%1, bf16: %2").arg(level).arg(narrowGap)));
        }
    }

    void readsHeadsWhereTheyLie()
    {
        // Queries of a fused product [B, T, heads, 3, d], keys and values in a cache that is
        // longer.
        const at::Tensor fused = noise({2, 50, 4, 3, 16}, 1);
        const at::Tensor q = fused.select(3, 0).transpose(1, 2);
        const at::Tensor k = noise({2, 2, 99, 16}, 2).narrow(2, 0, 61);
        const at::Tensor v = noise({2, 99, 2, 16}, 3).transpose(1, 2).narrow(2, 0, 61);
        const AttentionOptions options{0.25, 0, 11};
        const at::Tensor out = causalAttention(q, k, v, options);
        QVERIFY(at::equal(
            out, causalAttention(q.contiguous(), k.contiguous(), v.contiguous(), options)));
        QVERIFY(relativeGap(out, plain({q, k, v}, options)) <= kRegroupGap);
        const at::Tensor one = q.narrow(2, 49, 1);
        QVERIFY(relativeGap(causalAttention(one, k, v, {0.25, 0, 60}),
                            plain({one, k, v}, {0.25, 0, 60})) <= kRegroupGap);
    }

    void largeScoresStayFinite()
    {
        Operands x{noise({1, 2, 300, 16}, 1), noise({1, 2, 300, 16}, 2), noise({1, 2, 300, 16}, 3)};
        x.q = x.q * 100;
        x.k = x.k * 100;
        const AttentionOptions options{1, 0, 0};
        QVERIFY(relativeGap(causalAttention(x.q, x.k, x.v, options), plain(x, options)) <=
                kRegroupGap);
    }

    void notANumberIsNotHidden()
    {
        Operands x{noise({1, 1, 40, 16}, 1), noise({1, 1, 40, 16}, 2), noise({1, 1, 40, 16}, 3)};
        x.k[0][0][7].fill_(std::nan(""));
        const at::Tensor out = causalAttention(x.q, x.k, x.v, {0.25, 0, 0});
        QVERIFY(out.narrow(2, 0, 7).isfinite().all().item<bool>());
        QVERIFY(out.narrow(2, 7, 33).isnan().all().item<bool>());
    }

    void threadsDoNotChangeBits()
    {
        const Operands x{noise({2, 6, 500, 32}, 1), noise({2, 2, 500, 32}, 2),
                         noise({2, 2, 500, 32}, 3)};
        const AttentionOptions options{0.2, 0, 0};
        at::set_num_threads(1);
        const at::Tensor one = causalAttention(x.q, x.k, x.v, options);
        at::set_num_threads(3);
        const at::Tensor three = causalAttention(x.q, x.k, x.v, options);
        at::set_num_threads(1);
        QVERIFY(at::equal(one, three));
    }

    void refusesShapesThatDoNotFit()
    {
        const at::Tensor q = noise({1, 4, 8, 16}, 1);
        const AttentionOptions options;
        QVERIFY_EXCEPTION_THROWN(
            causalAttention(q, noise({1, 3, 8, 16}, 2), noise({1, 3, 8, 16}, 3), options), Error);
        QVERIFY_EXCEPTION_THROWN(
            causalAttention(q, noise({1, 2, 7, 16}, 2), noise({1, 2, 7, 16}, 3), options), Error);
        QVERIFY_EXCEPTION_THROWN(
            causalAttention(q, noise({1, 2, 8, 16}, 2), noise({1, 2, 8, 12}, 3), options), Error);
    }
};

QTEST_GUILESS_MAIN(TestAttention)
#include "tst_attention.moc"
