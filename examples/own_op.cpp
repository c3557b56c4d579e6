// own_op: an operation defined outside the library, checked and trained with.
//
//   y = s max(x, 0)^2                             x (..., W)   s (W)   ->   y (..., W)
//
//   dx = dy 2 s max(x, 0)        ds = sum over rows of dy max(x, 0)^2
//
// An op is a struct free of any device, a kernel per device, and a function for users.
#include <selfpatch/selfpatch.hpp>

#include <cstdio>

namespace sp = selfpatch;

namespace mine {

constexpr auto positive(auto x) { return x > 0 ? x : 0 * x; }

struct scaled_square {
  template <class X, class S>
  auto forward(const X& x, const S& scale) const {
    static_assert(sp::same_width<sp::width_of<X>, sp::width_of<S>>,
                  "scaled_square(x, scale): x (..., W) and scale (W) must have the same W");
    auto y = sp::beside<sp::value_of_t<X>>(x, x.shape());
    sp::kernel<scaled_square, sp::device_of<X>>::forward(x.on(), rows(x), scale.data(), rows(y));
    return sp::result{std::move(y)};
  }

  // Gradients are added to; those that nobody asked for are null.
  void backward(const auto& dy, const auto&, const auto& inputs, const auto& gradients) const {
    const auto& [x, scale] = inputs;
    const auto& [dx, dscale] = gradients;
    sp::kernel<scaled_square, sp::device_of<decltype(dy)>>::backward(
        x.on(), rows(dy), rows(x), scale.data(), rows(dx), data(dscale));
  }
};

auto square(const auto& x, const auto& scale) { return sp::apply(scaled_square{}, x, scale); }
}  // namespace mine

template <>
struct sp::kernel<mine::scaled_square, sp::reference> {
  template <class T>
  static void forward(const auto&, matrix_view<const T> x, const T* scale, matrix_view<T> y) {
    for (index r = 0; r < x.rows; ++r)
      for (index d = 0; d < x.cols; ++d)
        y.row(r)[d] = scale[d] * mine::positive(x.row(r)[d]) * x.row(r)[d];
  }
  template <class T>
  static void backward(const auto&, matrix_view<const T> dy, matrix_view<const T> x, const T* scale,
                       matrix_view<T> dx, T* dscale) {
    for (index r = 0; r < x.rows; ++r)
      for (index d = 0; d < x.cols; ++d) {
        if (dx) dx.row(r)[d] += dy.row(r)[d] * 2 * scale[d] * mine::positive(x.row(r)[d]);
        if (dscale) dscale[d] += dy.row(r)[d] * mine::positive(x.row(r)[d]) * x.row(r)[d];
      }
  }
};

// On the cpu the forward pass runs on all threads. Chunks are cut by the number of rows alone, so
// the number of threads changes no bit. The backward pass is the reference's.
template <>
struct sp::kernel<mine::scaled_square, sp::cpu> : sp::kernel<mine::scaled_square, sp::reference> {
  template <class T>
  static void forward(const auto& on, matrix_view<const T> x, const T* scale, matrix_view<T> y) {
    using plain = kernel<mine::scaled_square, reference>;
    parallel_rows(on, x.rows, 64, [=](index from, index to) {
      plain::forward(on, x.slice(from, to - from), scale, y.slice(from, to - from));
    });
  }
};

namespace {

template <class T>
auto normals(sp::index rows, std::uint64_t seed) {
  sp::tensor<T, sp::shape<sp::dyn, 8>> x(sp::shape<sp::dyn, 8>{rows});
  sp::random draw(seed, sp::purpose::test);
  for (T& value : x.values()) value = T(draw.normal());
  return x;
}

/// Learns y = max(x, 0)^2 / 2 as square(mix(x), scale); the mean square error of the last step.
double fit(sp::index steps) {
  sp::context<sp::cpu> threads(2);
  sp::nn::linear<float, sp::cpu, 8, 8> mix(8, 8, &threads);
  sp::parameter<float, sp::shape<8>> scale(sp::shape<8>(), &threads);
  for (float& s : scale.value.values()) s = 1;
  for (sp::index d = 0; d < 8; ++d) mix.weight.value.data()[9 * d] = 0.1f;

  double squares = 0;
  for (sp::index step = 0; step < steps; ++step) {
    sp::learn(mix), scale.learn();  // from gradients of zero
    sp::tape on;
    const auto x = on.constant(normals<float>(64, std::uint64_t(step)));
    const auto y = mine::square(mix(x), scale);
    squares = 0;
    for (sp::index i = 0; i < 64 * 8; ++i) {
      const float v = x.value().data()[i], error = y.value().data()[i] - mine::positive(v) * v / 2;
      y.gradient().data()[i] = error / 64;  // where the way back begins
      squares += double(error) * error;
    }
    on.backward(y);
    const auto descend = [](const std::string&, auto& p) {
      const float* g = p.gradient.data();
      for (float& v : p.value.values()) v -= 0.05f * *g++;
    };
    sp::for_each_parameter(mix, descend), descend("scale", scale);
  }
  return squares / (64 * 8);
}
}  // namespace

int main() {
  const auto op = [](const auto& x, const auto& scale) { return mine::square(x, scale); };
  const double wrong = sp::gradcheck(op, normals<double>(5, 1), normals<double>(1, 2));
  const double before = fit(1), after = fit(800);
  std::printf("gradient off by %.1e; error %.4f -> %.4f by training\n", wrong, before, after);
  return wrong < 1e-7 && after < before / 20 ? 0 : 1;
}
