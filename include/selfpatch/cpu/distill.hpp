// distill on the cpu: logits of some groups at a time, produced, consumed and turned into gradients
// in the cache.
//
// A block holds as many groups as fit into 16 MiB of logits; its size depends on the shape alone.
// Within a block rows are worked on in parallel, sums over rows are made by the column.
#pragma once

#include <selfpatch/cpu/vector_math.hpp>
#include <selfpatch/cpu/weight_norm.hpp>
#include <selfpatch/ops/distill.hpp>

namespace selfpatch {

template <class T>
struct kernel<op::distill<T>, cpu> : kernel<op::distill<T>, reference> {
  using A = sum_of<T>;

  static distillation forward(context<cpu>* on, const distill_shape& s, const op::distill<T>& o,
                              matrix_view<const T> z, matrix_view<const T> v, const T* g,
                              const A* norms, const A* teacher_norms, matrix_view<T> dz,
                              matrix_view<T> dW, T* loss) {
    distillation found{.prototypes = s.O};
    std::vector<A> mean_q(std::size_t(s.O));
    const index per_block =
        std::max<index>(1, (index(16) << 20) / ((s.S + s.U) * s.O * index(sizeof(T))));
    double pairs = 0;
    for (index first = 0; first < s.G; first += per_block) {
      block b(on, s, first, std::min(per_block, s.G - first));
      b.teacher_logits(o, teacher_norms);
      b.student_logits(z, v, g, norms);
      b.softmax_teacher(o, mean_q);
      b.make_gradients(o, found, pairs);
      b.add_gradients(v, g, norms, dz, dW);
    }
    found.cross_entropy /= pairs;
    found.teacher_entropy /= pairs;
    for (A& m : mean_q) m /= A(s.G * s.U);
    kernel<op::distill<T>, reference>::summarise_mean(mean_q.data(), s.O, found);
    *loss = T(found.loss);
    return found;
  }

 private:
  using matrix = tensor<T, shape<dyn, dyn>>;

  // n groups from `first` on; row u n + i of a matrix here is view u of group first + i
  struct block {
    context<cpu>* on;
    distill_shape s;
    index first, n;
    matrix zs, zt, student, teacher;
    std::vector<double> entropy;

    block(context<cpu>* c, const distill_shape& shape_, index from, index count)
        : on(c),
          s(shape_),
          first(from),
          n(count),
          zs(make(s.S * n, s.P)),
          zt(make(s.U * n, s.P)),
          student(make(s.S * n, s.O)),
          teacher(make(s.U * n, s.O)),
          entropy(std::size_t(s.U * n)) {}

    matrix make(index r, index c) const { return matrix(shape<dyn, dyn>(r, c), uninitialized, on); }

    /// Row `row` of the block among all rows.
    index global(index row) const { return row / n * s.G + first + row % n; }

    void gather(matrix_view<const T> from, matrix& to) const {
      for (index r = 0; r < to.extent(0); ++r)
        std::copy_n(from.row(global(r)), s.P, rows(to).row(r));
    }
    void teacher_logits(const op::distill<T>& o, const A* norms) {
      gather(o.teacher.z, zt);
      kernel<op::weight_norm, cpu>::forward(on, rows(std::as_const(zt)), o.teacher.v, o.teacher.g,
                                            norms, rows(teacher));
    }
    void student_logits(matrix_view<const T> z, matrix_view<const T> v, const T* g,
                        const A* norms) {
      gather(z, zs);
      kernel<op::weight_norm, cpu>::forward(on, rows(std::as_const(zs)), v, g, norms,
                                            rows(student));
    }

    /// teacher <- q, entropies; mean_q += q.
    void softmax_teacher(const op::distill<T>& o, std::vector<A>& mean_q) {
      parallel(on, s.U * n, [&](index r) {
        T* q = rows(teacher).row(r);
        const T scale = T(1 / o.teacher.temperature);
        for (index p = 0; p < s.O; ++p) q[p] = (q[p] - o.teacher.center[p]) * scale;
        T* logits = gemm_detail::scratch<T, 12>(s.O);  // needed once more, for the entropy
        std::copy_n(q, s.O, logits);
        const A L = vector_math::softmax(q, q, s.O, T(1));
        entropy[std::size_t(r)] = double(L) - dot(q, logits, s.O);
      });
      parallel_rows(on, s.O, 1024, [&](index begin, index end) {
        for (index r = 0; r < s.U * n; ++r) {
          const T* q = rows(teacher).row(r);
          for (index p = begin; p < end; ++p) mean_q[std::size_t(p)] += q[p];
        }
      });
    }

    /// student <- dlogits; adds to the sums of `found`.
    void make_gradients(const op::distill<T>& o, distillation& found, double& pairs) {
      std::vector<double> ce(std::size_t(s.S * n));
      parallel(on, s.S * n, [&](index r) { ce[std::size_t(r)] = one_row(o, r); });
      for (index r = 0; r < s.S * n; ++r) {
        found.loss += double(o.row_weight[global(r)]) * ce[std::size_t(r)];
        found.cross_entropy += ce[std::size_t(r)];
        for (index u = 0; u < s.U; ++u)
          if (s.pairs(r / n, u)) {
            found.teacher_entropy += entropy[std::size_t(u * n + r % n)];
            ++pairs;
          }
      }
    }

    /// y <- w (teachers softmax(y / t) - sum q) / t; returns the sum of the row's cross-entropies.
    double one_row(const op::distill<T>& o, index r) {
      T *y = rows(student).row(r), *target = gemm_detail::scratch<T, 12>(2 * s.O),
        *scaled = target + s.O;
      const index view = r / n;
      index teachers = 0;
      for (index u = 0; u < s.U; ++u) {
        if (!s.pairs(view, u)) continue;
        const T* q = rows(teacher).row(u * n + r % n);
        for (index p = 0; p < s.O; ++p) target[p] = teachers ? target[p] + q[p] : q[p];
        ++teachers;
      }
      if (!teachers) std::fill_n(target, s.O, T(0));
      const T t = T(1 / o.student_temperature), w = T(o.row_weight[global(r)] * t),
              count = T(teachers);
      for (index p = 0; p < s.O; ++p) scaled[p] = y[p] = y[p] * t;
      const A L = vector_math::softmax(y, y, s.O, T(1));
      const double ce = double(L) * double(teachers) - dot(target, scaled, s.O);
      for (index p = 0; p < s.O; ++p) y[p] = w * (count * y[p] - target[p]);
      return ce;
    }

    /// dz of this block's rows; dW adds up over blocks, the first of which writes it.
    void add_gradients(matrix_view<const T> v, const T* g, const A* norms, matrix_view<T> dz,
                       matrix_view<T> dW) {
      const T* dy = student.data();
      const index R = s.S * n;
      if (dW.rows)
        gemm(on, transpose::yes, transpose::no, s.O, s.P, R, T(1), dy, s.O,
             static_cast<const T*>(zs.data()), s.P, T(first ? 1 : 0), dW.data, dW.stride);
      parallel(on, R, [&](index r) {
        T* y = rows(student).row(r);
        for (index p = 0; p < s.O; ++p) y[p] *= T(g[p] / norms[p]);
      });
      matrix from = make(R, s.P);
      gemm(on, transpose::no, transpose::no, R, s.P, s.O, T(1), dy, s.O, v.data, v.stride, T(0),
           from.data(), s.P);
      for (index r = 0; r < R; ++r) std::copy_n(rows(from).row(r), s.P, dz.row(global(r)));
    }
  };

  /// In double and in order of lanes.
  static double dot(const T* a, const T* b, index n) {
    constexpr index lanes = 16;
    double lane[lanes] = {};
    index i = 0;
    for (; i + lanes <= n; i += lanes)
      for (index l = 0; l < lanes; ++l) lane[l] += double(a[i + l]) * double(b[i + l]);
    double sum = 0;
    for (double x : lane) sum += x;
    for (; i < n; ++i) sum += double(a[i]) * double(b[i]);
    return sum;
  }
};

}  // namespace selfpatch
