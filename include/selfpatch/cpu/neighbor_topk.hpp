// neighbor_topk on the cpu: every pair of neighbors is multiplied once, and x is read once.
//
//   dots     patch by patch with itself and with the neighbors ahead of it (radius 1: right, below
//            left, below, below right), some patches at a time, so that rows shared by their pairs
//            are loaded once; W sums are finished together
//   sims     dots / (lengths of both), a vector of W patches at a time
//   choice   W patches at a time: top_keys.hpp
//
// What lies behind is looked up: the similarity of i and j stands where the first of them met the
// other. Sums have one order wherever a pair lies, so equal rows tie to the bit, and it does not
// matter how images are cut into bands for the threads.
#pragma once

#include <selfpatch/cpu/gemm.hpp>
#include <selfpatch/cpu/top_keys.hpp>
#include <selfpatch/ops/neighbor_topk.hpp>

namespace selfpatch {

namespace neighbor_topk_detail {

/// a mod n, in 0 .. n-1; a is near enough that steps are cheaper than a division.
constexpr index wrap(index a, index n) {
  while (a < 0) a += n;
  while (a >= n) a -= n;
  return a;
}

/// Offsets in one direction that lead to distinct cells, 0 among them.
struct near {
  index from, to;
  near(index size, const neighborhood& n)
      : from(n.edge == border::torus ? -std::min(n.radius, (size - 1) / 2) : -n.radius),
        to(n.edge == border::torus ? std::min(n.radius, size / 2) : n.radius) {}
};

/// Rows first .. first+count-1 of an image's grid. Planes are numbers per patch: plane p holds the
/// dots, then the similarities, with the patch dr rows below and dc columns to the right,
/// p = dr (2R+1) + dc; plane 0 with itself. They reach R rows and columns beyond the band, wrapped.
template <class T>
struct band {
  using A = sum_of<T>;
  using V = simd<A>;
  static constexpr index W = V::width;

  const T* x;
  index C;
  grid g;
  neighborhood n;
  index first, count;
  A* memory = nullptr;

  index R = n.radius, ahead = 2 * R * (R + 1);
  index padded = (g.cols + W - 1) / W * W, stride = padded + 2 * R, rows = count + 2 * R;
  bool whole = n.edge == border::torus && count == g.rows;  // no row above or below but its own

  index scratch_size() const { return (ahead + 2) * rows * stride + (ahead + 1) * W * W; }
  A* plane(index p, index q) const { return memory + (p * rows + q + R) * stride + R; }
  A* lengths(index q) const { return plane(ahead + 1, q); }
  A* partial() const { return memory + (ahead + 2) * rows * stride; }
  index plane_of(index dr, index dc) const { return dr * (2 * R + 1) + dc; }
  index down(index p) const { return (p + R) / (2 * R + 1); }
  index right(index p) const { return p - down(p) * (2 * R + 1); }

  bool exists(index q) const {
    return n.edge == border::torus || (first + q >= 0 && first + q < g.rows);
  }
  const T* patch(index q, index c) const {
    return x + (wrap(first + q, g.rows) * g.cols + wrap(c, g.cols)) * C;
  }

  // ---- dots

  // Channels per step: a register of them, in one vector of sums' type or, of bf16, in two.
  static constexpr int parts = sizeof(A) / sizeof(T);
  static constexpr index step = parts * W;

  /// Every second bf16 from p (Part 0) or p + 1 (Part 1) on; of other types the W at p.
  template <int Part>
  static V load(const T* p) {
    if constexpr (std::is_same_v<T, bf16>) {
      typename V::integers both;
      std::memcpy(&both, p, sizeof both);
      return V::from_bits(Part == 0 ? both << 16 : both & -65536);
    } else {
      return V::load(p);
    }
  }
  /// The first m of p, then zeros.
  static V load(const T* p, index m) {
    A lanes[W] = {};
    for (index i = 0; i < m; ++i) lanes[i] = A(p[i]);
    return V::load(lanes);
  }

  /// The products of patches (q, c) .. (q, c + P - 1) with those ahead of them: a vector of partial
  /// sums each, plane by plane, W patches a plane.
  template <int Radius, int P>
  void multiply(index q, index c, A* out) const {
    using vector = typename V::vector;
    constexpr int side = 2 * Radius + 1, planes = 2 * Radius * (Radius + 1) + 1;
    const T *own[P + Radius], *below[Radius][P + 2 * Radius];
    for (int i = 0; i < P + Radius; ++i) own[i] = patch(q, c + i);
    for (int r = 0; r < Radius; ++r)
      for (int i = 0; i < P + 2 * Radius; ++i) below[r][i] = patch(q + 1 + r, c - Radius + i);
    // Rows come in the order of memory, but caches do not see it in the order of these loads.
    constexpr index distance = 49152 / sizeof(T);
    const T* soon = x + ((first + q + Radius) * g.cols + c + P + Radius) * C + distance;

    vector sum[planes][P];
    unroll<planes>([&](auto p) { unroll<P>([&](auto i) { sum[p][i] = vector{}; }); });
    index k = 0;
    const auto multiply_part = [&](auto part) __attribute__((always_inline)) {
      vector a[P + Radius];
      unroll<P + Radius>([&](auto i) { a[i] = load<part>(own[i] + k).v; });
      unroll<P>(
          [&](auto i) { unroll<Radius + 1>([&](auto dc) { sum[dc][i] += a[i] * a[i + dc]; }); });
      unroll<Radius>([&](auto r) {
        unroll<P + 2 * Radius>([&](auto j) {
          const vector b = load<part>(below[r][j] + k).v;
          unroll<P>([&](auto i) {
            constexpr int dc = j - Radius - i;
            if constexpr (dc >= -Radius && dc <= Radius) sum[(r + 1) * side + dc][i] += a[i] * b;
          });
        });
      });
    };
    for (; k + step <= C; k += step) {
      for (int i = 0; i < P; ++i) __builtin_prefetch(soon + P * k + i * step, 0, 2);
      unroll<parts>(multiply_part);
    }
    unroll<planes>(
        [&](auto p) { unroll<P>([&](auto i) { V(sum[p][i]).store(out + (p * W + i) * W); }); });
    if (k < C)
      for (int i = 0; i < P; ++i) multiply_rest(q, c + i, ahead, k, out + i * W);
  }

  /// Adds what one patch has from channel k on, in planes 0 .. last; k = 0 begins.
  void multiply_rest(index q, index c, index last, index k, A* out) const {
    for (index p = 0; p <= last; ++p, out += W * W) {
      const T *a = patch(q, c), *b = patch(q + down(p), c + right(p));
      V s = k ? V::load(out) : V(A(0));
      index m = k;
      for (; m + step <= C; m += step)
        unroll<parts>([&](auto part) { s = fma(load<part>(a + m), load<part>(b + m), s); });
      for (; m < C; m += W)
        s = fma(load(a + m, std::min(W, C - m)), load(b + m, std::min(W, C - m)), s);
      s.store(out);
    }
  }

  /// `here` patches of row q from column c on: as many at a time as there are registers for.
  template <int Radius>
  void multiply_run(index q, index c, index here) const {
    constexpr int P = Radius == 1 || vector_bytes == 64 ? 2 : 1;
    index i = 0;
    for (; i + P <= here; i += P) multiply<Radius, P>(q, c + i, partial() + i * W);
    for (; i < here; ++i) multiply<Radius, 1>(q, c + i, partial() + i * W);
  }

  /// Row q of planes 0 .. last, and its lengths.
  void dots(index q, index last) const {
    for (index c = 0; c < g.cols; c += W) {
      const index here = std::min(W, g.cols - c);
      if (R == 1 && last)
        multiply_run<1>(q, c, here);
      else if (R == 2 && last)
        multiply_run<2>(q, c, here);
      else
        for (index i = 0; i < here; ++i) multiply_rest(q, c + i, last, 0, partial() + i * W);
      for (index p = 0; p <= last; ++p) {
        V r[W];
        unroll<W>([&](auto i) { r[i] = V::load(partial() + (p * W + i) * W); });
        sums(r).store(plane(p, q) + c);
      }
    }
    for (index c = 0; c < g.cols; ++c)
      lengths(q)[c] = kernel<op::neighbor_topk, reference>::length(plane(0, q)[c]);
    wrap_columns(lengths(q));
  }

  void wrap_columns(A* line) const {
    for (index c = 1; c <= R; ++c) {
      line[-c] = line[wrap(-c, g.cols)];
      line[g.cols + c - 1] = line[wrap(c - 1, g.cols)];
    }
  }

  // ---- similarities

  void similarities(index q) const {
    for (index p = 0; p <= ahead; ++p) {
      if (!exists(q + down(p))) break;
      A *line = plane(p, q), *own = lengths(q), *other = lengths(q + down(p)) + right(p);
      for (index c = 0; c < padded; c += W)
        (V::load(line + c) / (V::load(own + c) * V::load(other + c))).store(line + c);
      wrap_columns(line);
    }
  }

  /// Of the patches of row q with those dr below and dc to the right, whichever of them is first.
  const A* similarity(index q, index dr, index dc) const {
    const bool is_ahead = dr > 0 || (dr == 0 && dc >= 0);
    return is_ahead ? plane(plane_of(dr, dc), q) : plane(plane_of(-dr, -dc), q + dr) + dc;
  }

  /// Calls choose(q) for every row of the band, each as soon as its similarities are complete,
  /// while the next rows of x are on their way.
  template <class F>
  void run(const F& choose) const {
    std::fill_n(memory, scratch_size(), A(0));
    const index lo = whole ? 0 : -R, hi = whole ? count : count + R;
    const auto finish = [&](index q) {
      if (q < lo || !exists(q)) return;
      similarities(q);
      if (q >= (whole ? R : 0)) choose(q);
    };
    for (index q = lo; q < hi; ++q) {
      if (exists(q)) dots(q, q < count ? ahead : 0);
      finish(q - R);
    }
    if (!whole) return;
    for (index q = 0; q < R; ++q) copy_row(ahead + 1, wrap(q, count), count + q);
    for (index q = count - R; q < count; ++q) finish(q);
    for (index q = -R; q < 0; ++q)
      for (index p = 0; p <= ahead; ++p) copy_row(p, wrap(q, count), q);
    for (index q = 0; q < std::min(R, count); ++q) choose(q);
  }

  void copy_row(index p, index from, index to) const {
    std::copy_n(plane(p, from) - R, stride, plane(p, to) - R);
  }
};

/// The K best of every patch of row q: its window, W patches at a time.
template <int K, class T>
void choose(const band<T>& of, index q, index wanted, std::int32_t* chosen, float* similarity) {
  using V = simd<float>;
  const grid g = of.g;
  const near down(g.rows, of.n), across(g.cols, of.n);
  V::integers lane;
  for (int i = 0; i < V::width; ++i) lane[i] = i;
  for (index c0 = 0; c0 < g.cols; c0 += V::width) {
    const auto column = lane + std::int32_t(c0);
    top_keys<K> best;
    for (index dr = down.from; dr <= down.to; ++dr) {
      if (!of.exists(q + dr)) continue;
      const auto row = std::int32_t(wrap(of.first + q + dr, g.rows) * g.cols);
      for (index dc = across.from; dc <= across.to; ++dc) {
        if (dr == 0 && dc == 0 && !of.n.include_self) continue;
        auto at = column + std::int32_t(dc);
        const auto before = at < 0, behind = at >= std::int32_t(g.cols);
        V s = V::load(of.similarity(q, dr, dc) + c0);
        if (of.n.edge == border::torus) {
          at += (before & std::int32_t(g.cols)) - (behind & std::int32_t(g.cols));
          at += row;
        } else {
          const auto outside = before | behind;
          s = select(outside, V(-std::numeric_limits<float>::infinity()), s);
          at = (at + row) | outside;
        }
        best.insert(s, at);
      }
    }
    const index done = (of.first + q) * g.cols + c0;
    best.store(std::min<index>(V::width, g.cols - c0), wanted, chosen + done * wanted,
               similarity + done * wanted);
  }
}

/// The same patch by patch, for any K and number type.
template <class T, class A>
void choose_any(const band<T>& of, index q, const neighbor_table& table, index wanted,
                std::int32_t* chosen, A* similarity) {
  using plain = kernel<op::neighbor_topk, reference>;
  const grid g = of.g;
  std::vector<A> all(std::size_t(table.width));
  for (index c = 0; c < g.cols; ++c) {
    const index i = (of.first + q) * g.cols + c;
    const std::int32_t* candidate = table.row(i);
    for (index m = 0; m < table.width && candidate[m] >= 0; ++m) {
      const auto offset = [&](index to, index from, index size) {
        const index d = to - from;
        return d > of.R ? d - size : d < -of.R ? d + size : d;
      };
      const index dr = offset(candidate[m] / g.cols, of.first + q, g.rows);
      const index dc = offset(candidate[m] % g.cols, c, g.cols);
      all[std::size_t(m)] = of.similarity(q, dr, dc)[c];
    }
    plain::select(all.data(), candidate, table.width, wanted, chosen + i * wanted,
                  similarity + i * wanted);
  }
}

}  // namespace neighbor_topk_detail

template <>
struct kernel<op::neighbor_topk, cpu> {
  template <class T, class A>
  static void forward(context<cpu>* on, const op::neighbor_topk& o, const neighbor_table& table,
                      index B, index C, const T* x, index K, std::int32_t* chosen, A* similarity) {
    using namespace neighbor_topk_detail;
    const grid g = o.on_grid;
    if (g.size() == 0) return;
    const index pieces = on && on->threads() > 1 ? 4 * on->threads() : 1;
    const index bands = std::clamp<index>(pieces / std::max<index>(B, 1), 1, (g.rows + 3) / 4);
    parallel(on, B * bands, [&](index chunk) {
      const index b = chunk / bands, part = chunk % bands;
      const index first = g.rows * part / bands, end = g.rows * (part + 1) / bands;
      band<T> of{x + b * g.size() * C, C, g, o.which, first, end - first};
      of.memory = gemm_detail::scratch<A, 10>(of.scratch_size());
      std::int32_t* numbers = chosen + b * g.size() * K;
      A* values = similarity + b * g.size() * K;
      if constexpr (std::is_same_v<A, float>) {
        if (K <= 4) return of.run([&](index q) { choose<4>(of, q, K, numbers, values); });
        if (K <= 8) return of.run([&](index q) { choose<8>(of, q, K, numbers, values); });
      }
      of.run([&](index q) { choose_any(of, q, table, K, numbers, values); });
    });
  }
};

}  // namespace selfpatch
