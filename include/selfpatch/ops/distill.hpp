// distill: cross-entropy between a teacher's and a student's softmax over prototypes, with
// everything in one pass
//
//   student z (S G, P)   v (O, P)   g (O, 1)
//   teacher z (U G, P)   v (O, P)   g (O, 1)   center (O)
//
// Rows are view after view of G groups: student row s G + i and teacher row u G + i belong to
// group i.
//
//   logits   = s_o (z . v_o),  s_o = g_o / |v_o|
//   q_u      = softmax((teacher logits - center) / t_teacher)
//   CE(q, y) = -sum_o q_o log_softmax(y / t_student)_o
//   loss     = sum_i sum_s w_si sum_(u != s) CE(q_ui, student logits_si)
//
// With S = U = 1 (a patch against itself) the pair u = s counts; otherwise a view is not compared
// with itself. Since every q sums to 1, the n teachers of a row need one pass: n logsumexp(y) -
// (sum_u q_u) . y, y = logits / t_student,
//
//   dlogits = w (n softmax(y) - sum_u q_u) / t_student
//
// Neither logits nor q leave the cache-sized block of groups they are made in: the forward pass
// makes the gradients of z, v and g at once, the backward pass scales them (weight_norm.hpp has
// their formulas).
#pragma once

#include <selfpatch/ops/weight_norm.hpp>

#include <algorithm>

namespace selfpatch {

/// What the forward pass of distill learns about its term, beside the loss. Entropies in nats.
struct distillation {
  double loss = 0;                  ///< the weighted sum, as in the op's value
  double cross_entropy = 0;         ///< mean over teacher-student pairs
  double teacher_entropy = 0;       ///< mean over pairs of the entropy of q
  double mean_teacher_entropy = 0;  ///< entropy of the mean of q over all teacher rows
  index dead = 0;        ///< prototypes whose mean q is below a hundredth of the uniform share
  index prototypes = 0;  ///< O
  double kl() const { return cross_entropy - teacher_entropy; }
};

/// The sizes of a term; see the head of the file.
struct distill_shape {
  index G, S, U, P, O;
  constexpr bool pairs(index s, index u) const { return S == 1 || s != u; }
  constexpr index teachers_of(index s) const { return S == 1 || s >= U ? U : U - 1; }
};

/// What the teacher contributes: bottleneck rows, last layer, center. Borrowed.
template <class T>
struct teacher_targets {
  matrix_view<const T> z, v;
  const T* g;
  const T* center;
  double temperature;
};

namespace op {
template <class T>
struct distill {
  teacher_targets<T> teacher;
  index groups;
  const T* row_weight;  ///< (S G): the weight of a student row
  double student_temperature = 0.1;
  bool weight_gradients = true;  ///< false while the last layer is frozen
  distillation* report = nullptr;

  template <class Z, class V, class G>
  auto forward(const Z& z, const V& v, const G& g) const {
    const distill_shape s{groups, rows(z).rows / groups, teacher.z.rows / groups, rows(z).cols,
                          v.extent(0)};
    expects(rows(z).rows == s.S * groups && teacher.z.rows == s.U * groups,
            "distill(z, v, g): student and teacher rows are whole groups");
    expects(v.extent(1) == s.P && teacher.z.cols == s.P && teacher.v.rows == s.O,
            "distill(z, v, g): student and teacher have last layers of one shape");
    using k = kernel<weight_norm, device_of<Z>>;
    auto norms = beside<sum_of<T>>(z, shape<dyn>(s.O)),
         teacher_norms = beside<sum_of<T>>(z, shape<dyn>(s.O));
    k::norms(z.on(), rows(v), norms.data());
    k::norms(z.on(), teacher.v, teacher_norms.data());

    using matrix = tensor<T, shape<dyn, dyn>, device_of<Z>>;
    matrix dz(shape<dyn, dyn>(rows(z).rows, s.P), z.on());
    matrix dW(shape<dyn, dyn>(weight_gradients ? s.O : 0, s.P), uninitialized, z.on());
    tensor<T, shape<1>, device_of<Z>> loss(shape<1>{}, uninitialized, z.on());
    const auto found = kernel<distill, device_of<Z>>::forward(
        z.on(), s, *this, rows(z), rows(v), g.data(), norms.data(), teacher_norms.data(), rows(dz),
        rows(dW), loss.data());
    if (report) *report = found;
    return result{std::move(loss), std::tuple(std::move(dz), std::move(dW), std::move(norms))};
  }

  /// Logits of both, and the gradients, which are made forward.
  double flops(const auto& z, const auto& v, const auto&) const {
    const double of_student = weight_gradients ? 3 : 2;
    return 2.0 * double(v.size()) * (of_student * double(rows(z).rows) + double(teacher.z.rows));
  }

  double backward_flops(const auto&, const auto&, const auto&) const { return 0; }

  void backward(const auto& dloss, const auto& saved, const auto& in, const auto& d) const {
    const auto& [made_dz, made_dW, norms] = saved;
    const auto& [z, v, g] = in;
    const auto& [dz, dv, dg] = d;
    using D = device_of<decltype(dloss)>;
    if (dz)
      kernel<distill, D>::add_scaled(z.on(), dloss.data(), made_dz.data(), dz->data(),
                                     made_dz.size());
    if ((dv || dg) && made_dW.size())
      kernel<weight_norm, D>::backward_weight(z.on(), rows(made_dW), rows(v), g.data(),
                                              norms.data(), rows(dv), data(dg), dloss.data());
  }
};
}  // namespace op

/// The term as a function of the student's rows and last layer; a tensor of one element.
template <class T>
auto distill(const auto& z, const auto& v, const auto& g, const op::distill<T>& settings) {
  return apply(settings, z, v, g);
}

template <class T>
struct kernel<op::distill<T>, reference> {
  template <class A>
  static distillation forward(const auto&, const distill_shape& s, const op::distill<T>& o,
                              matrix_view<const T> z, matrix_view<const T> v, const T* g,
                              const A* norms, const A* teacher_norms, matrix_view<T> dz,
                              matrix_view<T> dW, T* loss) {
    const std::size_t O = std::size_t(s.O);
    std::vector<A> q(O), y(O), mean_q(O);
    for (index o = 0; o < dW.rows; ++o) std::fill_n(dW.row(o), s.P, T(0));
    distillation found{.prototypes = s.O};
    double pairs = 0;
    for (index i = 0; i < s.G; ++i)
      for (index u = 0; u < s.U; ++u) {
        const double entropy = teacher_row(s, o, teacher_norms, u * s.G + i, q);
        for (index p = 0; p < s.O; ++p) mean_q[std::size_t(p)] += q[std::size_t(p)] / A(s.G * s.U);
        for (index t = 0; t < s.S; ++t) {
          if (!s.pairs(t, u)) continue;
          const index r = t * s.G + i;
          logits(z.row(r), v, g, norms, y);
          found.teacher_entropy += entropy;
          found.cross_entropy += student_row(s, o, r, q, y, z, v, g, norms, dz, dW, found.loss);
          ++pairs;
        }
      }
    found.cross_entropy /= pairs;
    found.teacher_entropy /= pairs;
    summarise_mean(mean_q.data(), s.O, found);
    *loss = T(found.loss);
    return found;
  }

  static void add_scaled(const auto& on, const T* scale, const T* from, T* to, index n) {
    parallel_rows(on, n, 1 << 16, [=](index begin, index end) {
      for (index i = begin; i < end; ++i) to[i] += *scale * from[i];
    });
  }

  /// Entropy of the mean target, and how many prototypes it hardly holds.
  template <class A>
  static void summarise_mean(const A* mean_q, index O, distillation& found) {
    for (index p = 0; p < O; ++p) {
      const double m = double(mean_q[p]);
      if (m > 0) found.mean_teacher_entropy -= m * std::log(m);
      found.dead += m * double(O) < 0.01;
    }
  }

 private:
  template <class A>
  static void logits(const T* z, matrix_view<const T> v, const T* g, const A* norms,
                     std::vector<A>& y) {
    for (index p = 0; p < v.rows; ++p) {
      A dot = 0;
      for (index c = 0; c < v.cols; ++c) dot += A(z[c]) * v.row(p)[c];
      y[std::size_t(p)] = dot * (g[p] / norms[p]);
    }
  }

  /// q of a teacher's row; returns its entropy.
  template <class A>
  static double teacher_row(const distill_shape& s, const op::distill<T>& o, const A* norms,
                            index row, std::vector<A>& q) {
    logits(o.teacher.z.row(row), o.teacher.v, o.teacher.g, norms, q);
    for (index p = 0; p < s.O; ++p)
      q[std::size_t(p)] = (q[std::size_t(p)] - o.teacher.center[p]) / A(o.teacher.temperature);
    const A L = log_sum_exp(q);
    double entropy = 0;
    for (A& x : q) {
      entropy -= double(x - L) * std::exp(double(x - L));
      x = std::exp(x - L);
    }
    return entropy;
  }

  /// Adds the gradients of one pair; returns its cross-entropy.
  template <class A>
  static double student_row(const distill_shape& s, const op::distill<T>& o, index r,
                            const std::vector<A>& q, std::vector<A>& y, matrix_view<const T> z,
                            matrix_view<const T> v, const T* g, const A* norms, matrix_view<T> dz,
                            matrix_view<T> dW, double& loss) {
    for (A& x : y) x /= A(o.student_temperature);
    const A L = log_sum_exp(y);
    double ce = 0;
    for (index p = 0; p < s.O; ++p) {
      const A target = q[std::size_t(p)], log_p = y[std::size_t(p)] - L;
      ce -= double(target) * double(log_p);
      const A dy = o.row_weight[r] * (std::exp(log_p) - target) / A(o.student_temperature);
      for (index c = 0; c < s.P; ++c) {
        dz.row(r)[c] += T(dy * (g[p] / norms[p]) * v.row(p)[c]);
        if (dW.rows) dW.row(p)[c] += T(dy * z.row(r)[c]);
      }
    }
    loss += double(o.row_weight[r]) * ce;
    return ce;
  }

  template <class A>
  static A log_sum_exp(const std::vector<A>& y) {
    const A peak = *std::max_element(y.begin(), y.end());
    A sum = 0;
    for (A x : y) sum += std::exp(x - peak);
    return peak + std::log(sum);
  }
};

}  // namespace selfpatch
