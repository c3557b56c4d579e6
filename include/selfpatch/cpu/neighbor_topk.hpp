// neighbor_topk on the cpu: rows are made unit length once, then each patch meets its candidates
// while they are in the cache; images in parallel.
#pragma once

#include <selfpatch/cpu/gemm.hpp>
#include <selfpatch/cpu/vector_math.hpp>
#include <selfpatch/ops/neighbor_topk.hpp>

namespace selfpatch {

template <>
struct kernel<op::neighbor_topk, cpu> {
  using plain = kernel<op::neighbor_topk, reference>;

  template <class T, class A>
  static void forward(context<cpu>* on, const op::neighbor_topk&, const neighbor_table& table,
                      index B, index C, const T* x, index K, std::int32_t* chosen, A* similarity) {
    const index N = table.width ? index(table.candidates.size()) / table.width : 0, M = table.width;
    parallel(on, B, [&](index b) {
      A *lengths = gemm_detail::scratch<A, 10>(N + M), *row = lengths + N;
      const T* xb = x + b * N * C;
      for (index i = 0; i < N; ++i)
        lengths[i] = plain::length(vector_math::dot(xb + i * C, xb + i * C, C));
      for (index i = 0; i < N; ++i) {
        for (index m = 0; m < M; ++m)
          if (const index j = table.row(i)[m]; j >= 0)
            row[m] = vector_math::dot(xb + i * C, xb + j * C, C) / (lengths[i] * lengths[j]);
        const index at = (b * N + i) * K;
        plain::select(row, table.row(i), M, K, chosen + at, similarity + at);
      }
    });
  }
};

}  // namespace selfpatch
