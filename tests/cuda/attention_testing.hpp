// attention_testing: neighbor attention on the device layer, run both ways, and the reference it is
// held against.
#pragma once

#include <selfpatch/cuda/neighbor_attention.cuh>
#include <selfpatch/ops/neighbor_attention.hpp>

#include "cuda/gradient_testing.hpp"

#include <cstring>

using sp::device_code::grid_window;

template <class T>
struct problem {
  sp::neighbor_attention_extents s;
  grid_window grid;
  device_vector<std::int32_t> index;
  device_vector<T> q, k0, v0, k, v, dy;

  problem(sp::neighbor_attention_extents s_, const grid_window& grid_,
          device_vector<std::int32_t> index_)
      : s(s_), grid(grid_), index(std::move(index_)) {
    const auto all = std::size_t(s.queries()) * std::size_t(s.W());
    const auto own = s.shared ? std::size_t(s.W()) : all;
    q = random_values<T>(own, 1), k0 = random_values<T>(own, 2), v0 = random_values<T>(own, 3);
    k = random_values<T>(all, 4), v = random_values<T>(all, 5), dy = random_values<T>(all, 6);
  }
  sp::neighbor_attention_inputs<T> inputs() const {
    return {q.data(), k0.data(), v0.data(), k.data(), v.data(), index.data()};
  }
};

struct layout {
  sp::grid grid;
  sp::neighborhood which;
  int H, P;
  bool shared = false;
};

template <class T>
problem<T> near(int B, const layout& l) {
  return {{B, int(l.grid.size()), l.H, l.P, int(l.which.k), l.shared},
          window_of(l.grid, l.which),
          random_choices(B, l.grid, l.which, 7)};
}

/// All that the forward and backward pass compute.
template <class T, class Saved = T>
struct results {
  device_vector<T> y, dq, dk0, dv0, dk, dv;
  device_vector<Saved> p;

  explicit results(const sp::neighbor_attention_extents& s, T fill = T(0))
      : y(std::size_t(s.queries() * s.W()), fill),
        dq(std::size_t((s.shared ? 1 : s.queries()) * s.W()), fill),
        dk0(dq),
        dv0(dq),
        dk(y),
        dv(y),
        p(std::size_t(s.pairs() * (s.k + 1)), std::numeric_limits<Saved>::quiet_NaN()) {}

  sp::neighbor_attention_gradients<T> gradients(bool add = false) {
    return {dq.data(), dk0.data(), dv0.data(), dk.data(), dv.data(), add};
  }
  bool operator==(const results& o) const {
    const auto same = [](const auto& a, const auto& b) {
      return !std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]);
    };
    return same(y, o.y) && same(dq, o.dq) && same(dk0, o.dk0) && same(dv0, o.dv0) &&
           same(dk, o.dk) && same(dv, o.dv) && same(p, o.p);
  }
};

template <class T>
auto expected(const problem<T>& in) {
  using reference = sp::kernel<sp::op::neighbor_attention, sp::reference>;
  const auto& s = in.s;
  results<double> out(s);
  const auto q = as_doubles(in.q), k0 = as_doubles(in.k0), v0 = as_doubles(in.v0),
             k = as_doubles(in.k), v = as_doubles(in.v), dy = as_doubles(in.dy);
  const sp::class_attention_shape shape{s.B, s.N, s.N, s.k, s.W(), s.H, s.shared};
  sp::context<sp::reference>* const on = nullptr;
  reference::forward(on, shape, q.data(), k0.data(), v0.data(), k.data(), v.data(), in.index.data(),
                     out.p.data(), out.y.data());
  reference::backward(on, shape, dy.data(), out.p.data(), in.index.data(), q.data(), k0.data(),
                      v0.data(), k.data(), v.data(), out.dq.data(), out.dk0.data(), out.dv0.data(),
                      out.dk.data(), out.dv.data());
  return out;
}

template <class T>
auto direct(const problem<T>& in) {
  results<T, float> out(in.s, T(NAN));
  device_vector<float> workspace(std::size_t(sp::neighbor_attention_workspace(in.s)), NAN);
  sp::device_code::launch_attention_forward<T>({}, in.s, in.inputs(), out.y.data(), out.p.data());
  sp::device_code::launch_attention_backward<T>({}, in.s, in.grid, in.inputs(), out.p.data(),
                                                in.dy.data(), out.gradients(), workspace.data());
  synchronize();
  return out;
}

template <class T>
auto staged(const problem<T>& in) {
  results<T, float> out(in.s, T(NAN));
  sp::device_code::launch_attention_forward_staged<T>({}, in.s, in.inputs(), out.y.data(),
                                                      out.p.data());
  if (in.s.shared) {  // backward has one way only
    const auto other = direct(in);
    out.dq = other.dq, out.dk0 = other.dk0, out.dv0 = other.dv0, out.dk = other.dk,
    out.dv = other.dv;
  } else {
    sp::device_code::launch_attention_backward_staged<T>(
        {}, in.s, in.grid, in.inputs(), out.p.data(), in.dy.data(), out.gradients());
  }
  synchronize();
  return out;
}

/// The greatest relative error of all results, in units of the tolerance.
template <class T>
double error_of(const results<T, float>& out, const results<double>& should) {
  const double worst =
      std::max({relative_error(out.y, should.y), relative_error(out.dq, should.dq),
                relative_error(out.dk0, should.dk0), relative_error(out.dv0, should.dv0),
                relative_error(out.dk, should.dk), relative_error(out.dv, should.dv)});
  return std::max(worst / tolerance_of<T>, relative_error(out.p, should.p) / tolerance_of<float>);
}

constexpr auto torus = sp::border::torus, clamped = sp::border::clamped;

/// Widths of heads and numbers of slots of every instance, full and not.
inline const layout layouts[] = {
    {{5, 7}, {.k = 4}, 3, 64},
    {{6, 6}, {.k = 8, .radius = 2, .edge = clamped}, 2, 64, true},
    {{4, 5}, {.k = 24, .radius = 2}, 1, 64},
    {{4, 4}, {.k = 3, .edge = clamped}, 2, 24},
    {{5, 5}, {.k = 5}, 2, 40, true},
    {{3, 4}, {.k = 1}, 5, 8},
    {{3, 5}, {.k = 4, .include_self = true}, 1, 96},
    {{3, 3}, {.k = 9, .radius = 2, .edge = clamped}, 1, 128},
    {{2, 3}, {.k = 2}, 1, 256, true},
    {{3, 3}, {.k = 8}, 1, 200},
};

/// Runs every layout both ways.
template <class T>
void check_layouts() {
  for (const layout& l : layouts) {
    const auto in = near<T>(2, l);
    const auto should = expected(in);
    const auto found = direct(in);
    CAPTURE(l.H, l.P, l.which.k);
    CHECK(error_of(found, should) <= 1);
    const auto again = staged(in);
    CHECK(again == found);
  }
}
