#include "methods/factorize.h"

#include <condition_variable>
#include <cstdio>
#include <limits>
#include <mutex>
#include <string_view>
#include <thread>

#include <QProcess>
#include <QtTest>

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include "base/error.h"
#include "base/hash.h"
#include "support/tensor_low_rank.h"
#include "support/tensor_model_files.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

class TestFactorize : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void capturesTheEnergy_data();
    void capturesTheEnergy();
    void sizeOfTheErrorDoesNotMatter_data();
    void sizeOfTheErrorDoesNotMatter();
    void rankDeficient_data();
    void rankDeficient();
    void oddShapes_data();
    void oddShapes();
    void manySeeds();
    void fullIsExact();
    void sameSeedSameBits_data() { kinds(); }
    void sameSeedSameBits();
    void sameBitsInTwoProcesses_data() { kinds(); }
    void sameBitsInTwoProcesses();
    void stopsBetweenProducts_data();
    void stopsBetweenProducts();
    void saysThatItCannotStop();
    void refuses();

private:
    void kinds();
};

namespace {
FactorizeOptions ofRank(std::int64_t rank, std::uint64_t seed = 0)
{
    FactorizeOptions options;
    options.rank = rank;
    options.seed = seed;
    return options;
}

/// How far the first vectors of a space stay behind the best ones of their number, as a share of
/// what those capture: largest over the ranks 1, 2, a quarter, half and all.
double uncaptured(const DominantSpace& space, const at::Tensor& error, const at::Tensor& root)
{
    const at::Tensor weighted = at::matmul(error.to(at::kDouble), root);
    const at::Tensor best = singularValuesOf(weighted).square().cumsum(0);
    const at::Tensor parts = at::matmul(space.vectors.to(at::kDouble), weighted);
    const at::Tensor captured = parts.square().sum(1).cumsum(0);
    const std::int64_t rank = space.vectors.size(0);
    double worst = 0;
    for (const std::int64_t k : {std::int64_t{1}, std::int64_t{2}, rank / 4, rank / 2, rank}) {
        if (k >= 1 && k <= rank) {
            worst = std::max(worst, 1 - (captured[k - 1] / best[k - 1]).item<double>());
        }
    }
    return worst;
}

double orthonormalGap(const DominantSpace& space)
{
    const at::Tensor q = space.vectors.to(at::kDouble);
    const at::Tensor unit = at::eye(q.size(0), at::kDouble);
    return (at::matmul(q, q.t()) - unit).abs().max().item<double>();
}

/// Vectors orthonormal, images theirs, values those of the vectors and descending.
std::string inconsistency(const DominantSpace& space, const at::Tensor& error,
                          const at::Tensor& root)
{
    if (space.vectors.size(0) > 0 && orthonormalGap(space) > kOrthonormalGap) {
        return message("orthonormal to ", orthonormalGap(space));
    }
    const at::Tensor images = at::matmul(space.vectors.to(at::kDouble), error.to(at::kDouble));
    const double size = error.to(at::kDouble).norm().item<double>();
    if ((space.images - images).norm().item<double>() > kOrthonormalGap * size) {
        return "images are not those of the vectors";
    }
    const at::Tensor lengths = at::matmul(images, root).norm(2, 1);
    const double largest = space.values.numel() > 0 ? space.values[0].item<double>() : 0;
    if ((lengths - space.values).abs().gt(kOrthonormalGap * largest).any().item<bool>()) {
        return "values are not those of the vectors";
    }
    if (space.values.diff().gt(0).any().item<bool>()) {
        return "values do not descend";
    }
    return {};
}

/// One factorization of a kind, as a hash of all its bits.
struct Problem {
    at::Tensor error;
    ErrorNorm norm;
    FactorizeOptions options;
};

Problem problemOf(const std::string& kind)
{
    const at::Tensor error = matrixWithSpectrum("slow", 160, 144);
    if (kind == "whole") {
        return {error, normOf("dense", correlatedInputs(400, 144)), ofRank(40, 5)};
    }
    return {error, normOf(kind, correlatedInputs(400, 144)), ofRank(12, 5)};
}

std::string bitsOf(const DominantSpace& space)
{
    std::string bytes;
    for (const at::Tensor& part : {space.vectors, space.images, space.values}) {
        const at::Tensor dense = part.contiguous();
        bytes.append(static_cast<const char*>(dense.data_ptr()), dense.nbytes());
    }
    return hashOf(bytes);
}

std::string bitsOf(const std::string& kind)
{
    const Problem problem = problemOf(kind);
    return bitsOf(dominantSpace(problem.error, problem.norm, problem.options, {}));
}

/// Counts the matrix products in its life, as the tensor library reports them, and asks for a stop,
/// from another thread, when so many were done.
class StoppingThread
{
public:
    explicit StoppingThread(int after)
        : m_after(after), m_thread([this] { waitAndStop(); }),
          m_handle(at::addGlobalCallback(at::RecordFunctionCallback(&onStart)))
    {
        s_active = this;
    }
    ~StoppingThread()
    {
        at::removeCallback(m_handle);
        s_active = nullptr;
        {
            const std::lock_guard lock(m_mutex);
            m_reached = true;
        }
        m_changed.notify_all();
        m_thread.join();
    }
    StoppingThread(const StoppingThread&) = delete;
    StoppingThread& operator=(const StoppingThread&) = delete;

    std::stop_token token() { return m_source.get_token(); }
    int products() const { return m_products; }

private:
    static std::unique_ptr<at::ObserverContext> onStart(const at::RecordFunction& function)
    {
        const std::string_view name = function.name();
        if (s_active != nullptr && (name == "aten::mm" || name == "aten::addmm")) {
            s_active->beforeProduct();
        }
        return nullptr;
    }
    void beforeProduct()
    {
        if (m_products++ == m_after) {
            std::unique_lock lock(m_mutex);
            m_reached = true;
            m_changed.notify_all();
            m_changed.wait(lock, [this] { return m_stopped; });
        }
    }
    void waitAndStop()
    {
        std::unique_lock lock(m_mutex);
        m_changed.wait(lock, [this] { return m_reached; });
        m_source.request_stop();
        m_stopped = true;
        m_changed.notify_all();
    }

    static inline StoppingThread* s_active = nullptr;
    int m_after;
    int m_products = 0;
    bool m_reached = false;
    bool m_stopped = false;
    std::stop_source m_source;
    std::mutex m_mutex;
    std::condition_variable m_changed;
    std::thread m_thread;
    at::CallbackHandle m_handle;
};
} // namespace

void TestFactorize::capturesTheEnergy_data()
{
    QTest::addColumn<QString>("spectrum");
    QTest::addColumn<int>("out");
    QTest::addColumn<int>("in");
    QTest::addColumn<int>("rank");
    QTest::addColumn<QString>("norm");
    for (const char* spectrum : {"fast", "slow", "flat", "cliff"}) {
        for (const char* norm : {"none", "diagonal", "dense"}) {
            for (const auto& [out, in, rank] : {std::tuple(256, 256, 16),
                                                {300, 200, 8},
                                                {200, 300, 24},
                                                {140, 400, 4},
                                                {96, 90, 48},
                                                {157, 163, 1}}) {
                QTest::addRow("%s, %s, %d x %d, rank %d", spectrum, norm, out, in, rank)
                    << spectrum << out << in << rank << norm;
            }
        }
    }
}

void TestFactorize::capturesTheEnergy()
{
    QFETCH(QString, spectrum);
    QFETCH(int, out);
    QFETCH(int, in);
    QFETCH(int, rank);
    QFETCH(QString, norm);
    const at::Tensor error = matrixWithSpectrum(spectrum.toStdString(), out, in);
    const ErrorNorm weights = normOf(norm.toStdString(), correlatedInputs(2L * in, in));
    const at::Tensor root = rootOf(weights, in);
    const DominantSpace space = dominantSpace(error, weights, ofRank(rank), {});
    QCOMPARE(space.vectors.size(0), rank);
    QCOMPARE(QString::fromStdString(inconsistency(space, error, root)), QString());
    const double behind = uncaptured(space, error, root);
    QVERIFY2(behind <= kUncaptured, message(behind).c_str());
}

void TestFactorize::sizeOfTheErrorDoesNotMatter_data()
{
    QTest::addColumn<double>("size");
    QTest::addColumn<int>("rank");
    for (const double size : {1e-30, 1e-20, 1e-10, 1e10, 1e20, 1e30}) {
        for (const int rank : {5, 40}) {
            QTest::addRow("%g, rank %d", size, rank) << size << rank;
        }
    }
}

void TestFactorize::sizeOfTheErrorDoesNotMatter()
{
    QFETCH(double, size);
    QFETCH(int, rank);
    const at::Tensor error = matrixWithSpectrum("slow", 100, 90) * size;
    for (const char* norm : {"none", "diagonal", "dense"}) {
        for (const double inputs : {1e-12, 1.0, 1e12}) {
            ErrorNorm weights = normOf(norm, correlatedInputs(200, 90) * inputs);
            const at::Tensor root = rootOf(weights, 90);
            const DominantSpace space = dominantSpace(error, weights, ofRank(rank), {});
            QCOMPARE(space.vectors.size(0), rank);
            QCOMPARE(QString::fromStdString(inconsistency(space, error, root)), QString());
            QVERIFY2(uncaptured(space, error, root) <= kUncaptured, message(norm, inputs).c_str());
        }
    }
}

void TestFactorize::rankDeficient_data()
{
    QTest::addColumn<int>("out");
    QTest::addColumn<int>("in");
    QTest::addColumn<int>("rank");
    for (const int rank : {3, 5, 12, 20, 60}) {
        QTest::addRow("200 x 170, rank %d", rank) << 200 << 170 << rank;
        QTest::addRow("170 x 200, rank %d", rank) << 170 << 200 << rank;
    }
}

void TestFactorize::rankDeficient()
{
    QFETCH(int, out);
    QFETCH(int, in);
    QFETCH(int, rank);
    const at::Tensor error = matrixWithSpectrum("rank 5", out, in);
    const ErrorNorm few = normOf("dense", correlatedInputs(3, in)); // R of rank 3
    for (const ErrorNorm& norm :
         {ErrorNorm{}, normOf("diagonal", correlatedInputs(400, in)), few}) {
        const at::Tensor root = rootOf(norm, in);
        const DominantSpace space = dominantSpace(error, norm, ofRank(rank), {});
        QCOMPARE(QString::fromStdString(inconsistency(space, error, root)), QString());
        QVERIFY(space.vectors.size(0) <= rank);
        QVERIFY(space.vectors.size(0) >= std::min(rank, norm.dense.defined() ? 3 : 5));
        QVERIFY(uncaptured(space, error, root) <= kUncaptured);
    }
}

void TestFactorize::oddShapes_data()
{
    QTest::addColumn<int>("out");
    QTest::addColumn<int>("in");
    for (const auto& [out, in] :
         {std::pair(1, 1), {1, 300}, {300, 1}, {2, 257}, {257, 2}, {9, 9}, {31, 17}}) {
        QTest::addRow("%d x %d", out, in) << out << in;
    }
}

void TestFactorize::oddShapes()
{
    QFETCH(int, out);
    QFETCH(int, in);
    const at::Tensor error = normal({out, in});
    for (const char* kind : {"none", "diagonal", "dense"}) {
        const ErrorNorm norm = normOf(kind, correlatedInputs(600, in));
        const at::Tensor root = rootOf(norm, in);
        for (const int rank : {1, std::min(out, in)}) {
            const DominantSpace space = dominantSpace(error, norm, ofRank(rank), {});
            QCOMPARE(space.vectors.size(0), rank);
            QCOMPARE(QString::fromStdString(inconsistency(space, error, root)), QString());
            QVERIFY(uncaptured(space, error, root) <= kUncaptured);
        }
        QCOMPARE(sentenceOf([&] { dominantSpace(error, norm, ofRank(std::min(out, in) + 1), {}); }),
                 message("rank ", std::min(out, in) + 1, " is not in 1..", std::min(out, in)));
    }
}

void TestFactorize::manySeeds()
{
    const at::Tensor error = matrixWithSpectrum("flat", 160, 144);
    const ErrorNorm norm = normOf("dense", correlatedInputs(400, 144));
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        for (const ErrorNorm& each : {ErrorNorm{}, norm}) {
            const DominantSpace space = dominantSpace(error, each, ofRank(12, seed), {});
            const double behind = uncaptured(space, error, rootOf(each, 144));
            QVERIFY2(behind <= kUncaptured, message("seed ", seed, ": ", behind).c_str());
        }
    }
}

void TestFactorize::fullIsExact()
{
    for (const char* kind : {"none", "diagonal", "dense"}) {
        const at::Tensor error = matrixWithSpectrum("flat", 60, 70);
        const ErrorNorm norm = normOf(kind, correlatedInputs(200, 70));
        const at::Tensor root = rootOf(norm, 70);
        FactorizeOptions options = ofRank(3);
        options.full = true;
        const DominantSpace space = dominantSpace(error, norm, options, {});
        QCOMPARE(QString::fromStdString(inconsistency(space, error, root)), QString());
        QVERIFY(std::abs(uncaptured(space, error, root)) <= kFactorRounding);
    }
}

void TestFactorize::kinds()
{
    QTest::addColumn<QString>("kind");
    for (const char* kind : {"none", "diagonal", "dense", "whole"}) {
        QTest::newRow(kind) << kind;
    }
}

void TestFactorize::sameSeedSameBits()
{
    QFETCH(QString, kind);
    const std::string first = bitsOf(kind.toStdString());
    // Other factorizations and other random numbers in between change nothing.
    at::randn({100});
    bitsOf(kind == "none" ? "dense" : "none");
    QCOMPARE(bitsOf(kind.toStdString()), first);
    Problem other = problemOf(kind.toStdString());
    other.options.seed = 6;
    const bool drawsNothing = kind == "whole";
    QCOMPARE(bitsOf(dominantSpace(other.error, other.norm, other.options, {})) == first,
             drawsNothing);
}

void TestFactorize::sameBitsInTwoProcesses()
{
    QFETCH(QString, kind);
    QProcess process;
    process.start(QCoreApplication::applicationFilePath(), {"--bits-of", kind});
    QVERIFY(process.waitForFinished(-1));
    QCOMPARE(process.exitCode(), 0);
    QCOMPARE(process.readAllStandardOutput().toStdString(), bitsOf(kind.toStdString()));
}

void TestFactorize::stopsBetweenProducts_data()
{
    QTest::addColumn<QString>("norm");
    QTest::addColumn<int>("percent");
    for (const char* norm : {"none", "diagonal", "dense"}) {
        for (const int percent : {0, 20, 40}) {
            QTest::addRow("%s, after %d%%", norm, percent) << norm << percent;
        }
    }
}

void TestFactorize::stopsBetweenProducts()
{
    QFETCH(QString, norm);
    QFETCH(int, percent);
    const at::Tensor error = matrixWithSpectrum("flat", 384, 384);
    const ErrorNorm weights = normOf(norm.toStdString(), correlatedInputs(800, 384));
    int whole = 0;
    {
        StoppingThread counter(std::numeric_limits<int>::max()); // never stops it
        dominantSpace(error, weights, ofRank(8), RunContext(counter.token(), {}));
        whole = counter.products();
    }
    const int after = whole * percent / 100;
    QVERIFY(whole - after > kProductsAfterStop); // or else finishing would do
    StoppingThread stopping(after);
    QVERIFY_EXCEPTION_THROWN(
        dominantSpace(error, weights, ofRank(8), RunContext(stopping.token(), {})), Cancelled);
    QVERIFY2(stopping.products() - after <= kProductsAfterStop,
             message(stopping.products() - after, " of ", whole).c_str());
}

void TestFactorize::saysThatItCannotStop()
{
    // The eigenvectors of a whole matrix come in one step: it is announced, and not begun when the
    // stop came before.
    const Problem problem = problemOf("whole");
    for (const bool full : {false, true}) {
        FactorizeOptions options = problem.options;
        options.full = full;
        std::vector<std::string> announced;
        std::stop_source source;
        const RunContext run(source.get_token(), [&](const Progress& progress) {
            if (progress.uninterruptible) {
                announced.push_back(progress.detail);
            }
        });
        dominantSpace(problem.error, problem.norm, options, run);
        QVERIFY(!announced.empty());
        QCOMPARE(announced.back(),
                 std::string(full ? "full SVD of 160 x 144" : "eigenvectors of 144 x 144"));
        source.request_stop();
        QVERIFY_EXCEPTION_THROWN(dominantSpace(problem.error, problem.norm, options, run),
                                 Cancelled);
    }
}

void TestFactorize::refuses()
{
    const at::Tensor error = normal({6, 4});
    const auto sentence = [&](const at::Tensor& e, const ErrorNorm& norm, std::int64_t rank) {
        return sentenceOf([&] { dominantSpace(e, norm, ofRank(rank), {}); });
    };
    QCOMPARE(sentence(error.to(at::kDouble), {}, 1),
             std::string("the error is not a float32 matrix"));
    QCOMPARE(sentence(error[0], {}, 1), std::string("the error is not a float32 matrix"));
    QCOMPARE(sentence(error, {}, 0), std::string("rank 0 is not in 1..4"));
    QCOMPARE(sentence(error, {at::ones({6}, at::kDouble), {}}, 1),
             std::string("the scale does not have the weight's 4 columns"));
    QCOMPARE(sentence(error, {{}, at::ones({6, 6}, at::kDouble)}, 1),
             std::string("the autocorrelation does not match the weight's 4 columns"));
}

int main(int argc, char** argv)
{
    if (argc == 3 && std::string_view(argv[1]) == "--bits-of") {
        std::fputs(bitsOf(std::string(argv[2])).c_str(), stdout);
        return 0;
    }
    QCoreApplication application(argc, argv);
    TestFactorize test;
    return QTest::qExec(&test, argc, argv);
}
#include "tst_factorize.moc"
