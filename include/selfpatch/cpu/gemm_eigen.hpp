// gemm_eigen: the matrix product by Eigen, with the arguments of gemm and one thread: what gemm is
// checked against, and a choice for a program that wants Eigen's rates on a machine gemm was not
// tuned for. Nothing else includes it.
#pragma once

#include <selfpatch/cpu/gemm.hpp>

#if defined(__GNUC__) && \
    !defined(__clang__)  // g++ 12 takes its own AVX-512 header for uninitialized
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <Eigen/Core>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace selfpatch {

/// C = alpha op(A) op(B) + beta C; shapes and strides as gemm has them. Its bits depend on how rows
/// are cut.
template <class T>
void gemm_eigen(transpose a, transpose b, index M, index N, index K, T alpha, const T* A, index lda,
                const T* B, index ldb, T beta, T* C, index ldc) {
  using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using stride = Eigen::OuterStride<>;
  const bool at = a == transpose::yes, bt = b == transpose::yes;
  const Eigen::Map<const matrix, 0, stride> x(A, at ? K : M, at ? M : K, stride(lda));
  const Eigen::Map<const matrix, 0, stride> y(B, bt ? N : K, bt ? K : N, stride(ldb));
  Eigen::Map<matrix, 0, stride> z(C, M, N, stride(ldc));
  if (beta == T(0))
    z.setZero();
  else if (beta != T(1))
    z *= beta;
  if (M == 0 || N == 0 || K == 0) return;
  if (at && bt)
    z.noalias() += alpha * (x.transpose() * y.transpose());
  else if (at)
    z.noalias() += alpha * (x.transpose() * y);
  else if (bt)
    z.noalias() += alpha * (x * y.transpose());
  else
    z.noalias() += alpha * (x * y);
}

}  // namespace selfpatch
