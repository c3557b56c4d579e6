// knn: weighted k-nearest-neighbor classification of frozen features
//
//   queries (n, D)   memory (m, D) with labels   ->   the k rows of memory with the greatest cosine
//
//   votes_c = sum over the k nearest of exp(cosine / T) [label = c]         top-1: argmax_c
//
// Greater cosine first, then the lower row; in a vote the lower class first. k is at most m. A
// class counts as among the best five only of those min(5, k) that are first.
#pragma once

#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/ops/l2_normalize.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace selfpatch {

/// Rows of a memory by falling cosine.
template <class T>
struct nearest_rows {
  tensor<std::int32_t, shape<dyn, dyn>> index;  ///< (n, K)
  tensor<T, shape<dyn, dyn>> similarity;        ///< (n, K)
};

namespace knn_detail {

/// Rows of unit length; a row that is not finite is refused, as its neighbors would mean nothing.
template <class T>
auto unit_rows(const tensor<T, shape<dyn, dyn>>& x, const char* which) {
  for (index r = 0; r < x.extent(0); ++r)
    for (index d = 0; d < x.extent(1); ++d)
      if (!std::isfinite(rows(x).row(r)[d]))
        throw error(
            problem{.what = std::string("nearest: ") + which + " hold a number that is not finite",
                    .where = "row " + std::to_string(r)});
  return l2_normalize(x);
}

/// Puts (similarity, row) among the K best so far if it is greater than the last of them. Rows come
/// in rising order, so an equal one stays behind.
template <class T>
void insert(T s, std::int32_t row, index K, index& filled, T* best, std::int32_t* at) {
  if (filled == K && !(s > best[K - 1])) return;
  const index place = std::upper_bound(best, best + filled, s, std::greater<>()) - best;
  filled = std::min(filled + 1, K);
  std::copy_backward(best + place, best + filled - 1, best + filled);
  std::copy_backward(at + place, at + filled - 1, at + filled);
  best[place] = s;
  at[place] = row;
}

}  // namespace knn_detail

/// The k rows of `memory` nearest to each query, all of them if k is greater than their number.
/// Products are made in blocks, so memory in use does not grow with n m.
template <class T>
nearest_rows<T> nearest(const tensor<T, shape<dyn, dyn>>& queries,
                        const tensor<T, shape<dyn, dyn>>& memory, index k,
                        context<cpu>* on = nullptr) {
  same_extent(memory.extent(1), queries.extent(1),
              "nearest(queries, memory, k): both have the same number of features");
  expects(k >= 1, "nearest(queries, memory, k): k is 1 or more");
  const index n = queries.extent(0), m = memory.extent(0), D = queries.extent(1),
              K = std::min(k, m);
  const auto q = knn_detail::unit_rows(queries, "the queries"),
             all = knn_detail::unit_rows(memory, "the memory");
  nearest_rows<T> found{tensor<std::int32_t, shape<dyn, dyn>>(shape<dyn, dyn>(n, K)),
                        tensor<T, shape<dyn, dyn>>(shape<dyn, dyn>(n, K))};
  if (K == 0) return found;
  constexpr index block = 256, columns = 4096;
  tensor<T, shape<dyn, dyn>> products(shape<dyn, dyn>(std::min(n, block), std::min(m, columns)));
  for (index first = 0; first < n; first += block) {
    const index count = std::min(block, n - first), stride = products.extent(1);
    std::vector<index> filled(std::size_t(count), 0);
    for (index from = 0; from < m; from += columns) {
      const index width = std::min(columns, m - from);
      gemm(on, transpose::no, transpose::yes, count, width, D, T(1), rows(q).row(first), D,
           rows(all).row(from), D, T(0), products.data(), stride);
      parallel_rows(on, count, 8, [&](index begin, index end) {
        for (index r = begin; r < end; ++r)
          for (index j = 0; j < width; ++j)
            knn_detail::insert(products.data()[r * stride + j], std::int32_t(from + j), K,
                               filled[std::size_t(r)], rows(found.similarity).row(first + r),
                               rows(found.index).row(first + r));
      });
    }
  }
  return found;
}

/// votes (n, classes) of the first k of `found`, whose memory has these labels, each in 0 ..
/// classes-1.
template <class T>
tensor<double, shape<dyn, dyn>> knn_votes(const nearest_rows<T>& found,
                                          std::span<const std::int32_t> labels, index classes,
                                          index k, double temperature = 0.07) {
  for (const auto label : labels)
    if (label < 0 || label >= classes)
      throw error(problem{.what = "knn_votes: a label is out of range",
                          .expected = "0.." + std::to_string(classes - 1),
                          .found = std::to_string(label)});
  const index n = found.index.extent(0), K = std::min(k, found.index.extent(1));
  tensor<double, shape<dyn, dyn>> votes(shape<dyn, dyn>(n, classes));
  for (index r = 0; r < n; ++r)
    for (index j = 0; j < K; ++j)
      rows(votes).row(r)[labels[std::size_t(rows(found.index).row(r)[j])]] +=
          std::exp(double(rows(found.similarity).row(r)[j]) / temperature);
  return votes;
}

/// The class with the most votes for each row, the lower one of equals.
inline std::vector<std::int32_t> knn_predictions(const tensor<double, shape<dyn, dyn>>& votes) {
  std::vector<std::int32_t> best;
  for (index r = 0; r < votes.extent(0); ++r) {
    const double* row = rows(votes).row(r);
    best.push_back(std::int32_t(std::max_element(row, row + votes.extent(1)) - row));
  }
  return best;
}

/// Shares of rows whose label has the most votes, and is among the first five.
struct knn_accuracy {
  double top1 = 0, top5 = 0;
};

/// `labels` of the rows; k is that of the votes.
inline knn_accuracy knn_score(const tensor<double, shape<dyn, dyn>>& votes,
                              std::span<const std::int32_t> labels, index k) {
  same_extent(votes.extent(0), index(labels.size()),
              "knn_score(votes, labels, k): one label per row of votes");
  const index classes = votes.extent(1), places = std::min<index>(5, k);
  index first = 0, among = 0;
  for (index r = 0; r < votes.extent(0); ++r) {
    const double* row = rows(votes).row(r);
    const index label = labels[std::size_t(r)];
    expects(label >= 0 && label < classes,
            "knn_score(votes, labels, k): a label is a class of the votes");
    index before = 0;  // classes that come before the label
    for (index c = 0; c < classes; ++c)
      before += row[c] > row[label] || (row[c] == row[label] && c < label);
    first += before == 0;
    among += before < places;
  }
  const double n = std::max<double>(1, double(votes.extent(0)));
  return {double(first) / n, double(among) / n};
}

}  // namespace selfpatch
