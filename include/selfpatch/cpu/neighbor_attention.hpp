// neighbor_attention on the cpu: keys and values are read where they lie, W queries at a time.
//
//   forward    products of W queries with their n + 1 keys, the softmax with a query per lane, then
//              each query's sum of values
//   backward   by queries: ds, and dq, dk0, dv0
//              by tokens: dk_t = sum ds q, dv_t = sum p dy, over the queries and slots that chose t
//
// Nothing is scattered: who chose a token stands in a list, and its gradients are added in the
// order of that list by one thread.
#pragma once

#include <selfpatch/cpu/column_sums.hpp>
#include <selfpatch/cpu/gemm.hpp>
#include <selfpatch/cpu/vector_math.hpp>
#include <selfpatch/ops/neighbor_attention.hpp>

#include <span>

namespace selfpatch {

namespace neighbor_attention_detail {

/// out += weight[head] x for every head's part of a row; weights `stride` apart.
template <class T>
void add(class_attention_shape s, const T* weight, index stride, const T* x, T* out) {
  using V = simd<T>;
  constexpr index W = V::width;
  for (index h = 0; h < s.H; ++h) {
    const V w = weight[h * stride];
    index d = h * s.P();
    const index end = d + s.P();
    for (; d + W <= end; d += W) fma(w, V::load(x + d), V::load(out + d)).store(out + d);
    if (const index m = end - d; m > 0)
      fma(w, V::load(x + d, m), V::load(out + d, m)).store(out + d, m);
  }
}

/// Up to W queries: rows first .. first+count-1 of all. Their numbers per slot and head stand at
/// (slot H + head) W + query; slot 0 is the query itself.
template <class T>
class group {
 public:
  using V = simd<T>;
  static constexpr index W = V::width;

  group(class_attention_shape shape, const std::int32_t* chosen, index from, index size)
      : s(shape), first(from), count(size), rows_(gemm_detail::scratch<index, 12>((s.n + 1) * W)) {
    for (index i = 0; i < count; ++i) {
      const std::int32_t* mine = chosen + (first + i) * s.n;
      const index image = (first + i) / s.Q * s.N;
      rows_[i] = own(i);
      for (index j = 0; j < s.n; ++j)
        rows_[(j + 1) * W + i] = mine[j] < 0 ? -1 : (image + mine[j]) * s.W;
    }
  }

  const class_attention_shape s;
  const index first, count;

  index numbers() const { return (s.n + 1) * s.H * W; }
  index at(index slot, index head) const { return (slot * s.H + head) * W; }
  /// Where a query's own row begins, and that of a slot; -1 for an empty slot.
  index own(index i) const { return s.shared ? 0 : (first + i) * s.W; }
  index row(index i, index slot) const { return rows_[slot * W + i]; }

  /// Each query's row a(i) times b0's row (slot 0) and rows of b, head by head; 0 for empty slots.
  template <class Rows>
  void products(const Rows& a, const T* b0, const T* b, T* out) const {
    T* partial = gemm_detail::scratch<T, 13>(numbers() * W);
    for (index i = 0; i < count; ++i)
      for (index slot = 0; slot <= s.n; ++slot) {
        const index from = row(i, slot);
        for (index h = 0; h < s.H; ++h)
          (from < 0 ? V(T(0)) : product(a(i), (slot ? b : b0) + from, h))
              .store(partial + (at(slot, h) + i) * W);
      }
    for (index n = 0; n < numbers(); n += W) {
      V r[W];
      for (index i = 0; i < W; ++i) r[i] = i < count ? V::load(partial + (n + i) * W) : V(T(0));
      sums(r).store(out + n);
    }
  }

  /// Makes products with the keys probabilities: a softmax over the slots that are not empty.
  void softmax(T* p) const {
    const V scale = T(1 / std::sqrt(T(s.P())));
    for (index i = 0; i < count; ++i)
      for (index slot = 1; slot <= s.n; ++slot)
        for (index h = 0; row(i, slot) < 0 && h < s.H; ++h)
          p[at(slot, h) + i] = -std::numeric_limits<T>::infinity();
    for (index h = 0; h < s.H; ++h) {
      V peak = V::load(p + at(0, h)), sum = T(0);
      for (index slot = 1; slot <= s.n; ++slot) peak = max(V::load(p + at(slot, h)), peak);
      for (index slot = 0; slot <= s.n; ++slot) {
        const V e = vector_math::exp((V::load(p + at(slot, h)) - peak) * scale);
        e.store(p + at(slot, h));
        sum += e;
      }
      for (index slot = 0; slot <= s.n; ++slot)
        (V::load(p + at(slot, h)) / sum).store(p + at(slot, h));
    }
  }

  /// out += the rows of query i's slots, each times its weight.
  void mix(index i, const T* weight, const T* b0, const T* b, T* out) const {
    for (index slot = 0; slot <= s.n; ++slot)
      if (const index from = row(i, slot); from >= 0)
        add(s, weight + at(slot, 0) + i, W, (slot ? b : b0) + from, out);
  }

  /// What is saved for backward has the order (query, head, slot).
  void save(const T* from, T* to) const {
    each_number([&](index here, index there) { to[there] = from[here]; });
  }
  void load(const T* from, T* to) const {
    std::fill_n(to, numbers(), T(0));
    each_number([&](index here, index there) { to[here] = from[there]; });
  }

 private:
  V product(const T* x, const T* y, index head) const {
    V sum = T(0);
    index d = head * s.P();
    const index end = d + s.P();
    for (; d + W <= end; d += W) sum = fma(V::load(x + d), V::load(y + d), sum);
    if (const index m = end - d; m > 0) sum = fma(V::load(x + d, m), V::load(y + d, m), sum);
    return sum;
  }

  template <class F>
  void each_number(const F& f) const {
    for (index i = 0; i < count; ++i)
      for (index h = 0; h < s.H; ++h)
        for (index slot = 0; slot <= s.n; ++slot)
          f(at(slot, h) + i, ((first + i) * s.H + h) * (s.n + 1) + slot);
  }

  index* rows_;
};

/// f(group) over the queries begin .. end-1.
template <class T, class F>
void each_group(class_attention_shape s, const std::int32_t* chosen, index begin, index end,
                const F& f) {
  constexpr index W = simd<T>::width;
  for (index i = begin; i < end; i += W) f(group<T>(s, chosen, i, std::min(W, end - i)));
}

/// Who chose whom: per token the places in `chosen` that name it, ascending.
class choosers {
 public:
  choosers(context<cpu>* on, class_attention_shape s, const std::int32_t* chosen)
      : tokens_(s.N), first_(std::size_t(s.B * (s.N + 1))), places_(std::size_t(s.B * s.Q * s.n)) {
    parallel(on, s.B, [&](index b) {
      index *first = first_.data() + b * (s.N + 1), before = b * s.Q * s.n;
      const index end = before + s.Q * s.n;
      for (index place = before; place < end; ++place)
        if (chosen[place] >= 0) ++first[chosen[place]];
      for (index t = 0; t <= s.N; ++t) first[t] = before += first[t];
      for (index place = end; place-- > b * s.Q * s.n;)
        if (chosen[place] >= 0) places_[std::size_t(--first[chosen[place]])] = place;
    });
  }
  std::span<const index> of(index b, index t) const {
    const index* first = first_.data() + b * (tokens_ + 1) + t;
    return {places_.data() + first[0], std::size_t(first[1] - first[0])};
  }

 private:
  index tokens_;
  std::vector<index> first_, places_;
};

}  // namespace neighbor_attention_detail

template <>
struct kernel<op::neighbor_attention, cpu> {
  template <class T>
  static void forward(context<cpu>* on, class_attention_shape s, const T* q, const T* k0,
                      const T* v0, const T* k, const T* v, const std::int32_t* chosen, T* p, T* y) {
    using namespace neighbor_attention_detail;
    parallel_rows(on, s.B * s.Q, grain, [&](index begin, index end) {
      each_group<T>(s, chosen, begin, end, [&](const group<T>& g) {
        T* w = gemm_detail::scratch<T, 10>(g.numbers());
        g.products([&](index i) { return q + g.own(i); }, k0, k, w);
        g.softmax(w);
        g.save(w, p);
        std::fill_n(y + g.first * s.W, g.count * s.W, T(0));
        for (index i = 0; i < g.count; ++i) g.mix(i, w, v0, v, y + (g.first + i) * s.W);
      });
    });
  }

  template <class T>
  static void backward(context<cpu>* on, class_attention_shape s, const T* dy, const T* p,
                       const std::int32_t* chosen, const T* q, const T* k0, const T* v0, const T* k,
                       const T* v, T* dq, T* dk0, T* dv0, T* dk, T* dv) {
    std::vector<T> ds(std::size_t(s.B * s.Q * s.H * (s.n + 1)));
    const auto queries = [&](index begin, index end, T* to_q, T* to_k0, T* to_v0) {
      by_queries(s, begin, end, dy, p, chosen, q, k0, v0, k, v, ds.data(), to_q, to_k0, to_v0);
    };
    if (!s.shared) {
      parallel_rows(on, s.B * s.Q, grain,
                    [&](index begin, index end) { queries(begin, end, dq, dk0, dv0); });
    } else {
      column_sums<T>(
          on, s.B * s.Q, 3 * s.W,
          [&](index begin, index end, T* line) {
            queries(begin, end, line, line + s.W, line + 2 * s.W);
          },
          [&](const T* total) {
            for (T* to : {dq, dk0, dv0}) {
              for (index d = 0; to && d < s.W; ++d) to[d] += total[d];
              total += s.W;
            }
          });
    }
    if (dk || dv) by_tokens(on, s, dy, p, chosen, q, ds.data(), dk, dv);
  }

 private:
  static constexpr index grain = 64;  // queries or tokens to a chunk

  /// ds of the queries begin .. end-1, and what they add to the gradients of their own rows.
  template <class T>
  static void by_queries(class_attention_shape s, index begin, index end, const T* dy, const T* p,
                         const std::int32_t* chosen, const T* q, const T* k0, const T* v0,
                         const T* k, const T* v, T* ds, T* dq, T* dk0, T* dv0) {
    using namespace neighbor_attention_detail;
    using V = simd<T>;
    const V scale = T(1 / std::sqrt(T(s.P())));
    each_group<T>(s, chosen, begin, end, [&](const group<T>& g) {
      T *w = gemm_detail::scratch<T, 10>(2 * g.numbers()), *dw = w + g.numbers();
      g.load(p, w);
      g.products([&](index i) { return dy + (g.first + i) * s.W; }, v0, v, dw);
      for (index h = 0; h < s.H; ++h) {
        V delta = T(0);
        for (index j = 0; j <= s.n; ++j)
          delta = fma(V::load(w + g.at(j, h)), V::load(dw + g.at(j, h)), delta);
        for (index j = 0; j <= s.n; ++j) {
          T* here = dw + g.at(j, h);
          (V::load(w + g.at(j, h)) * (V::load(here) - delta) * scale).store(here);
        }
      }
      g.save(dw, ds);
      for (index i = 0; i < g.count; ++i) {
        if (dq) g.mix(i, dw, k0, k, dq + g.own(i));
        if (dk0) add(s, dw + i, g.W, q + g.own(i), dk0 + g.own(i));
        if (dv0) add(s, w + i, g.W, dy + (g.first + i) * s.W, dv0 + g.own(i));
      }
    });
  }

  template <class T>
  static void by_tokens(context<cpu>* on, class_attention_shape s, const T* dy, const T* p,
                        const std::int32_t* chosen, const T* q, const T* ds, T* dk, T* dv) {
    using namespace neighbor_attention_detail;
    const choosers who(on, s, chosen);
    parallel_rows(on, s.B * s.N, grain, [&](index begin, index end) {
      for (index token = begin; token < end; ++token)
        for (const index place : who.of(token / s.N, token % s.N)) {
          const index query = place / s.n, slot = place % s.n + 1;
          const index weight = query * s.H * (s.n + 1) + slot, row = token * s.W;
          if (dk) add(s, ds + weight, s.n + 1, q + (s.shared ? 0 : query * s.W), dk + row);
          if (dv) add(s, p + weight, s.n + 1, dy + query * s.W, dv + row);
        }
    });
  }
};

}  // namespace selfpatch
