#include "support/tensor_low_rank.h"

#include <cmath>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>

#include <ATen/ATen.h>

#include "base/error.h"
#include "support/tensor_quantizers.h"

namespace qw::test {

namespace {
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Matrix toEigen(const at::Tensor& matrix)
{
    const at::Tensor wide = matrix.to(at::kDouble).contiguous();
    return Eigen::Map<const Matrix>(wide.data_ptr<double>(), wide.size(0), wide.size(1));
}

at::Tensor fromEigen(const Matrix& matrix)
{
    at::Tensor result = at::empty({matrix.rows(), matrix.cols()}, at::kDouble);
    Eigen::Map<Matrix>(result.data_ptr<double>(), matrix.rows(), matrix.cols()) = matrix;
    return result;
}

/// [rows, count] with orthonormal columns.
at::Tensor orthonormalColumns(std::int64_t rows, std::int64_t count, std::uint64_t seed)
{
    const Eigen::HouseholderQR<Matrix> qr(toEigen(normal({rows, count}, 1.0, seed)));
    return fromEigen(qr.householderQ() * Matrix::Identity(rows, count));
}

at::Tensor spectrumNamed(const std::string& spectrum, std::int64_t count)
{
    const at::Tensor index = at::arange(count, at::kDouble);
    if (spectrum == "fast") {
        return at::pow(2, -index / 2);
    }
    if (spectrum == "slow") {
        return (index + 1).rsqrt();
    }
    if (spectrum == "rank 5") {
        return index.lt(5).to(at::kDouble);
    }
    if (spectrum == "cliff") {
        return at::where(index.lt(4), at::pow(2, -index), at::full({}, 1e-3, at::kDouble));
    }
    throw Error(ErrorCode::NotFound, message("no spectrum ", spectrum));
}
} // namespace

const Json& lowRankGolden(const char* part)
{
    static const Json golden = readJsonFile(
        std::filesystem::path(__FILE__).parent_path().parent_path() / "golden/low_rank.json");
    return golden.at(part);
}

at::Tensor wideMatrixOf(const Json& rows)
{
    std::vector<double> values;
    for (const Json& row : rows) {
        for (const Json& value : row) {
            values.push_back(value.get<double>());
        }
    }
    return at::tensor(values, at::kDouble).view({static_cast<std::int64_t>(rows.size()), -1});
}

Svd svdOf(const at::Tensor& matrix)
{
    const Eigen::BDCSVD<Eigen::MatrixXd> svd(toEigen(matrix),
                                             Eigen::ComputeThinU | Eigen::ComputeThinV);
    return {fromEigen(svd.matrixU()), fromEigen(svd.singularValues()).flatten(),
            fromEigen(svd.matrixV())};
}

at::Tensor singularValuesOf(const at::Tensor& matrix)
{
    const Eigen::BDCSVD<Eigen::MatrixXd> svd(toEigen(matrix));
    return fromEigen(svd.singularValues()).flatten();
}

at::Tensor rootOf(const at::Tensor& symmetric)
{
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(toEigen(symmetric));
    const Eigen::VectorXd roots = solver.eigenvalues().cwiseMax(0).cwiseSqrt();
    return fromEigen(solver.eigenvectors() * roots.asDiagonal() *
                     solver.eigenvectors().transpose());
}

at::Tensor schurRootOf(const at::Tensor& symmetric)
{
    const Eigen::RealSchur<Eigen::MatrixXd> schur(toEigen(symmetric)); // T is diagonal
    const Eigen::VectorXd roots = schur.matrixT().diagonal().cwiseMax(0).cwiseSqrt();
    return fromEigen(schur.matrixU() * roots.asDiagonal() * schur.matrixU().transpose());
}

at::Tensor choleskyOf(const at::Tensor& symmetric)
{
    const Eigen::LLT<Eigen::MatrixXd> llt(toEigen(symmetric));
    QW_REQUIRE(llt.info() == Eigen::Success, ErrorCode::BadInput, "not positive definite");
    return fromEigen(Eigen::MatrixXd(llt.matrixU()));
}

at::Tensor rootOf(const ErrorNorm& norm, std::int64_t in)
{
    if (norm.dense.defined()) {
        return rootOf(norm.dense);
    }
    return norm.diagonal.defined() ? at::diag(norm.diagonal.sqrt()) : at::eye(in, at::kDouble);
}

at::Tensor textbookCorrection(const at::Tensor& error, const at::Tensor& root, std::int64_t rank)
{
    const Svd svd = svdOf(at::matmul(root, error.t().to(at::kDouble)));
    const Eigen::PartialPivLU<Eigen::MatrixXd> solver(toEigen(root));
    const at::Tensor a = fromEigen(solver.solve(toEigen(svd.u.narrow(1, 0, rank))));
    return at::matmul(a * svd.values.narrow(0, 0, rank), svd.v.narrow(1, 0, rank).t());
}

double errorLeft(const at::Tensor& error, const at::Tensor& product, const at::Tensor& root)
{
    return at::matmul(root, error.t().to(at::kDouble) - product.to(at::kDouble))
        .norm()
        .item<double>();
}

double leastError(const at::Tensor& values, std::int64_t rank)
{
    return values.narrow(0, rank, values.size(0) - rank).norm().item<double>();
}

at::Tensor matrixWithSpectrum(const std::string& spectrum, std::int64_t out, std::int64_t in,
                              std::uint64_t seed)
{
    if (spectrum == "flat") {
        const at::Tensor gaussian = normal({out, in}, 1.0, seed);
        return gaussian / std::sqrt(static_cast<double>(std::max(out, in)));
    }
    const std::int64_t count = std::min(out, in);
    const at::Tensor u = orthonormalColumns(out, count, seed);
    const at::Tensor v = orthonormalColumns(in, count, seed + 1);
    return at::matmul(u * spectrumNamed(spectrum, count), v.t()).to(at::kFloat);
}

at::Tensor correlatedInputs(std::int64_t tokens, std::int64_t in, std::uint64_t seed)
{
    // A common part, so that channels go together; sizes over two orders of magnitude.
    const at::Tensor common = at::matmul(normal({tokens, 3}, 1.0, seed), normal({3, in}, 1.0, 8));
    const at::Tensor sizes = at::pow(10, at::linspace(-1, 1, in, at::kFloat));
    return (normal({tokens, in}, 1.0, seed + 1) + common) * sizes;
}

ErrorNorm normOf(const std::string& kind, const at::Tensor& inputs)
{
    const at::Tensor x = inputs.to(at::kDouble);
    if (kind == "dense") {
        return {{}, at::matmul(x.t(), x) / x.size(0)};
    }
    return kind == "diagonal" ? ErrorNorm{x.square().mean(0), {}} : ErrorNorm{};
}

} // namespace qw::test
