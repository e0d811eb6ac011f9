#include "model/bf16_product_kernel.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

#include <ATen/Parallel.h>

#include "base/error.h"
#include "model/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace qw {

bool hasBf16Product()
{
#if defined(__x86_64__)
    return bestSimd() >= Simd::Avx512Bf16;
#else
    return false;
#endif
}

bool hasBf16Tiles()
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("amx-bf16") != 0;
#else
    return false;
#endif
}

#if defined(__x86_64__)
namespace {
constexpr std::int64_t kTileRows = 6;
constexpr std::int64_t kPanel = 64;        ///< columns of a tile
constexpr std::int64_t kUnitsAThread = 64; ///< at least, if there is as much to do
constexpr std::int64_t kTilesAUnit = 4;    ///< at least: a panel may be packed for each unit

/// Two elements that are summed together.
std::uint32_t pairAt(const ProductSide& side, std::int64_t i, std::int64_t pair)
{
    const std::uint16_t* first = side.data + i * side.stride + 2 * pair * side.step;
    return std::uint32_t{first[0]} | std::uint32_t{first[side.step]} << 16;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized" // GCC 12 in its own intrinsics
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")

/// 16 x 16 cells of 32 bits. @param toStride  in cells
void transpose(const std::uint16_t* from, std::int64_t fromStride, std::uint32_t* to,
               std::int64_t toStride)
{
    __m512i r[16];
    __m512i t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
        r[i] = _mm512_loadu_si512(from + i * fromStride);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xDD);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xDD);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        _mm512_storeu_si512(to + i * toStride, _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88));
        _mm512_storeu_si512(to + (i + 4) * toStride,
                            _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88));
        _mm512_storeu_si512(to + (i + 8) * toStride, _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD));
        _mm512_storeu_si512(to + (i + 12) * toStride,
                            _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xDD));
    }
}

/// Two rows of `count` elements as pairs; count is a multiple of 32.
void interleave(const std::uint16_t* first, const std::uint16_t* second, std::int64_t count,
                std::uint32_t* to)
{
    alignas(64) static constexpr std::uint16_t kLow[32] = {
        0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
        8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
    const __m512i low = _mm512_load_si512(kLow);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    for (std::int64_t i = 0; i < count; i += 32) {
        const __m512i a = _mm512_loadu_si512(first + i);
        const __m512i b = _mm512_loadu_si512(second + i);
        _mm512_storeu_si512(to + i, _mm512_permutex2var_epi16(a, low, b));
        _mm512_storeu_si512(to + i + 16, _mm512_permutex2var_epi16(a, high, b));
    }
}

/// Columns of b from `first` on as a panel [pairs, kPanel]; missing ones become zero.
void packPanel(const ProductSide& b, std::int64_t first, std::int64_t count, std::int64_t pairs,
               std::uint32_t* to)
{
    const std::int64_t wholePairs = b.step == 1 ? pairs / 16 * 16 : pairs;
    const std::int64_t whole = b.step == 1 ? count / 16 * 16 : count / 32 * 32;
    if (b.step == 1) {
        for (std::int64_t i = 0; i < whole; i += 16) {
            for (std::int64_t k = 0; k < wholePairs; k += 16) {
                transpose(b.data + (first + i) * b.stride + 2 * k, b.stride, to + k * kPanel + i,
                          kPanel);
            }
        }
    } else {
        for (std::int64_t k = 0; k < pairs; ++k) {
            const std::uint16_t* row = b.data + 2 * k * b.step + first;
            interleave(row, row + b.step, whole, to + k * kPanel);
        }
    }
    for (std::int64_t k = 0; k < pairs; ++k) {
        for (std::int64_t i = k < wholePairs ? whole : 0; i < kPanel; ++i) {
            to[k * kPanel + i] = i < count ? pairAt(b, first + i, k) : 0;
        }
    }
}

/// Rows [first, first + count) of a, whose stride is 1, as rows of pairs.
void packRows(const ProductSide& a, std::int64_t first, std::int64_t count, std::int64_t pairs,
              std::uint32_t* to)
{
    alignas(64) std::uint32_t block[16][32];
    const std::int64_t whole = count / 32 * 32;
    const std::int64_t wholePairs = pairs / 16 * 16;
    for (std::int64_t i = first; i < first + whole; i += 32) {
        for (std::int64_t k = 0; k < wholePairs; k += 16) {
            for (std::int64_t p = 0; p < 16; ++p) {
                const std::uint16_t* row = a.data + 2 * (k + p) * a.step + i;
                interleave(row, row + a.step, 32, block[p]);
            }
            const auto* cells = reinterpret_cast<const std::uint16_t*>(block);
            transpose(cells, 64, to + i * pairs + k, pairs);
            transpose(cells + 32, 64, to + (i + 16) * pairs + k, pairs);
        }
    }
    for (std::int64_t i = first; i < first + count; ++i) {
        for (std::int64_t k = i < first + whole ? wholePairs : 0; k < pairs; ++k) {
            to[i * pairs + k] = pairAt(a, i, k);
        }
    }
}

void storeVector(__m512 sums, std::int64_t count, float* to)
{
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1U << count) - 1), sums);
}

void storeVector(__m512 sums, std::int64_t count, std::uint16_t* to)
{
    _mm256_mask_storeu_epi16(to, static_cast<__mmask16>((1U << count) - 1),
                             (__m256i)_mm512_cvtneps_pbh(sums));
}

/// What the tiles of a panel have in common.
template <class C>
struct PanelTask {
    const std::uint16_t* a; ///< pairs of a row side by side
    std::int64_t stride;    ///< elements from row to row of a
    const std::uint32_t* panel;
    std::int64_t pairs;
    const float* bias; ///< [kPanel]
    C* c;
    std::int64_t cStride;
    std::int64_t columns; ///< of the panel that c has
};

template <int Rows, class C>
void multiplyTile(const PanelTask<C>& task, std::int64_t row)
{
    const std::uint16_t* a = task.a + row * task.stride;
    const std::int64_t stride = task.stride;
    __m512 sums[Rows][4];
#pragma GCC unroll 6
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
            sums[r][v] = _mm512_loadu_ps(task.bias + 16 * v);
        }
    }
    const std::uint32_t* b = task.panel;
    for (std::int64_t k = 0; k < task.pairs; ++k) {
        __m512bh vectors[4];
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
            vectors[v] = (__m512bh)_mm512_loadu_si512(b + k * kPanel + 16 * v);
        }
#pragma GCC unroll 6
        for (int r = 0; r < Rows; ++r) {
            int pair = 0;
            std::memcpy(&pair, a + r * stride + 2 * k, sizeof(pair));
            const auto both = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
            for (int v = 0; v < 4; ++v) {
                sums[r][v] = _mm512_dpbf16_ps(sums[r][v], vectors[v], both);
            }
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
            const std::int64_t left = task.columns - 16 * v;
            storeVector(sums[r][v],
                        left < 0    ? 0
                        : left > 16 ? 16
                                    : left,
                        task.c + (row + r) * task.cStride + 16 * v);
        }
    }
}

template <class C>
void multiplyRows(const PanelTask<C>& task, std::int64_t from, std::int64_t to)
{
    std::int64_t row = from;
    for (; row + kTileRows <= to; row += kTileRows) {
        multiplyTile<kTileRows>(task, row);
    }
    switch (to - row) {
    case 5:
        return multiplyTile<5>(task, row);
    case 4:
        return multiplyTile<4>(task, row);
    case 3:
        return multiplyTile<3>(task, row);
    case 2:
        return multiplyTile<2>(task, row);
    case 1:
        return multiplyTile<1>(task, row);
    default:
        return;
    }
}
#pragma GCC pop_options
#pragma GCC diagnostic pop

/// Calls makeWork() on each thread, and what it gives once for each unit. A thread begins with a
/// range of its own and then helps the others: threads are seldom equally fast.
template <class MakeWork>
void shareUnits(std::int64_t units, const MakeWork& makeWork)
{
    struct alignas(64) Range {
        std::atomic<std::int64_t> next;
        std::int64_t end;
    };
    const auto threads = std::min<std::int64_t>(at::get_num_threads(), units);
    std::vector<Range> ranges(static_cast<std::size_t>(threads));
    for (std::int64_t t = 0; t < threads; ++t) {
        ranges[static_cast<std::size_t>(t)].next = units * t / threads;
        ranges[static_cast<std::size_t>(t)].end = units * (t + 1) / threads;
    }
    at::parallel_for(0, threads, 1, [&](std::int64_t from, std::int64_t to) {
        auto work = makeWork();
        for (std::int64_t t = from; t < to; ++t) {
            for (std::int64_t i = 0; i < threads; ++i) {
                Range& range = ranges[static_cast<std::size_t>((t + i) % threads)];
                for (std::int64_t unit = range.next++; unit < range.end; unit = range.next++) {
                    work(unit);
                }
            }
        }
    });
}

/// Multiplies all rows, or a part of them, by one panel of b, which it packs unless it has it.
template <class C>
class PanelWork
{
public:
    PanelWork(const PanelTask<C>& task, const ProductSide& b, std::int64_t rows,
              std::int64_t columns, const std::uint16_t* bias, std::int64_t parts)
        : m_task(task), m_b(b), m_rows(rows), m_columns(columns), m_bias(bias), m_parts(parts),
          m_panel(new std::uint32_t[static_cast<std::size_t>(task.pairs * kPanel)])
    {
        m_task.panel = m_panel.get();
        m_task.bias = m_biases;
    }
    PanelWork(PanelWork&&) = delete;

    void operator()(std::int64_t unit)
    {
        const std::int64_t first = unit / m_parts * kPanel;
        if (first != m_first) {
            m_first = first;
            pack();
        }
        const std::int64_t part = unit % m_parts;
        const std::int64_t tiles = (m_rows + kTileRows - 1) / kTileRows;
        multiplyRows(m_task, tiles * part / m_parts * kTileRows,
                     std::min(m_rows, tiles * (part + 1) / m_parts * kTileRows));
    }

private:
    void pack()
    {
        m_task.columns = std::min(kPanel, m_columns - m_first);
        packPanel(m_b, m_first, m_task.columns, m_task.pairs, m_panel.get());
        for (std::int64_t i = 0; m_bias != nullptr && i < m_task.columns; ++i) {
            m_biases[i] = widen(m_bias[m_first + i]);
        }
        m_task.c = m_c + m_first;
    }

    PanelTask<C> m_task;
    C* m_c = m_task.c;
    const ProductSide& m_b;
    std::int64_t m_rows;
    std::int64_t m_columns;
    const std::uint16_t* m_bias;
    std::int64_t m_parts;
    std::int64_t m_first = -1;
    std::unique_ptr<std::uint32_t[]> m_panel;
    float m_biases[kPanel] = {};
};
} // namespace

template <class C>
void bf16Product(const ProductSide& a, const ProductSide& b, std::int64_t rows,
                 std::int64_t columns, std::int64_t depth, const std::uint16_t* bias, C* c)
{
    if (rows == 0 || columns == 0) {
        return;
    }
    PanelTask<C> task = {};
    task.a = a.data;
    task.stride = a.stride;
    task.pairs = depth / 2;
    task.c = c;
    task.cStride = columns;
    std::unique_ptr<std::uint32_t[]> packed;
    if (a.step != 1) {
        packed.reset(new std::uint32_t[static_cast<std::size_t>(rows * task.pairs)]);
        at::parallel_for(0, (rows + 31) / 32, 1, [&](std::int64_t from, std::int64_t to) {
            packRows(a, from * 32, std::min(rows, to * 32) - from * 32, task.pairs, packed.get());
        });
        task.a = reinterpret_cast<const std::uint16_t*>(packed.get());
        task.stride = depth;
    }
    const std::int64_t panels = (columns + kPanel - 1) / kPanel;
    const std::int64_t wanted = (kUnitsAThread * at::get_num_threads() + panels - 1) / panels;
    const std::int64_t parts =
        std::clamp<std::int64_t>(rows / (kTileRows * kTilesAUnit), 1, wanted);
    shareUnits(panels * parts, [&] { return PanelWork<C>(task, b, rows, columns, bias, parts); });
}
#else
template <class C>
void bf16Product(const ProductSide&, const ProductSide&, std::int64_t, std::int64_t, std::int64_t,
                 const std::uint16_t*, C*)
{
    throw Error(ErrorCode::Internal, "bf16Product: not for this processor");
}
#endif

template void bf16Product(const ProductSide&, const ProductSide&, std::int64_t, std::int64_t,
                          std::int64_t, const std::uint16_t*, std::uint16_t*);
template void bf16Product(const ProductSide&, const ProductSide&, std::int64_t, std::int64_t,
                          std::int64_t, const std::uint16_t*, float*);

} // namespace qw
