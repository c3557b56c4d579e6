#include <selfpatch/eval/pca.hpp>
#include <selfpatch/io/safetensors.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

template <class X>
auto view(const X& x) {
  return rows(x);
}

template <class T>
std::vector<T> read(const sp::safetensors_file& file, const char* name) {
  const auto& from = file.at(name);
  std::vector<T> values(std::size_t(from.size()));
  file.read_into(from, std::span<T>(values));
  return values;
}

}  // namespace

TEST_CASE("axes are orthonormal, variances fall and are those of the coordinates", "[eval][pca]") {
  auto x = random_tensor<double>(sp::shape<sp::dyn, 40>(200), 1);
  for (sp::index i = 0; i < x.size(); ++i) x.data()[i] *= 1 + double(i % 40) / 8;
  const auto fit = sp::fit_pca(view(std::as_const(x)), 5);
  const auto y = fit.project(view(std::as_const(x)));
  REQUIRE(fit.axes.size() == 5);
  for (std::size_t a = 0; a < 5; ++a) {
    for (std::size_t b = 0; b <= a; ++b)
      CHECK(sp::detail::dot(fit.axes[a].data(), fit.axes[b].data(), 40) ==
            Approx(double(a == b)).margin(1e-12));
    double squares = 0;
    for (std::size_t i = 0; i < 200; ++i) squares += y[5 * i + a] * y[5 * i + a] / 200;
    CHECK(fit.variance[a] == Approx(squares).epsilon(1e-10));
    if (a) CHECK(fit.variance[a] < fit.variance[a - 1]);
  }
  CHECK(fit.share() > 0);
  CHECK(fit.share() < 1);
}

TEST_CASE("points along a line have one component, whose largest entry is positive",
          "[eval][pca]") {
  sp::tensor<float, sp::shape<sp::dyn, 3>> x(sp::shape<sp::dyn, 3>(4));
  for (sp::index i = 0; i < 4; ++i) {
    x.data()[3 * i] = 5 + float(i);
    x.data()[3 * i + 1] = -2 * float(i);
    x.data()[3 * i + 2] = 1;
  }
  const auto fit = sp::fit_pca(view(std::as_const(x)), 3);
  CHECK(fit.axes[0][0] == Approx(-1 / std::sqrt(5.)));
  CHECK(fit.axes[0][1] == Approx(2 / std::sqrt(5.)));
  CHECK(fit.variance[0] == Approx(fit.total_variance));
  CHECK(fit.variance[1] == Approx(0).margin(1e-12));
}

TEST_CASE("many more values than patches, and patches all alike, are no obstacle", "[eval][pca]") {
  const auto wide = random_tensor<float>(sp::shape<sp::dyn, 300>(4), 2);
  CHECK(sp::fit_pca(view(wide)).share() == Approx(1));
  const sp::tensor<float, sp::shape<sp::dyn, 6>> alike(sp::shape<sp::dyn, 6>(9));
  const auto fit = sp::fit_pca(view(alike));
  CHECK(fit.share() == 0);
  const auto y = fit.project(view(alike));
  CHECK(sp::pca_picture(y, {3, 3}, sp::color_scale::of(y)).pixels ==
        std::vector<std::uint8_t>(27, 128));
}

TEST_CASE("colors span what all pictures together span, but for the outermost patches",
          "[eval][pca]") {
  std::vector<double> y;
  for (int i = 0; i <= 100; ++i) y.insert(y.end(), {double(i), double(-i), 7});
  const auto all = sp::color_scale::of(y, 0), cut = sp::color_scale::of(y, 0.05);
  CHECK(all.low == std::array{0., -100., 7.});
  CHECK(all.high == std::array{100., 0., 7.});
  CHECK(cut.low == std::array{5., -95., 7.});
  CHECK(all.color(50, 0) == 128);
  CHECK(all.color(50, 2) == 128);
  CHECK(cut.color(-1000, 0) == 0);
  CHECK(cut.color(1000, 0) == 255);
  CHECK_THROWS_AS(sp::color_scale::of(std::vector<double>(4)), sp::error);
}

TEST_CASE("components, projection and colors equal recorded ones", "[eval][pca]") {
  const auto folder = shared_data("parity/eval");
  if (!folder) return skip("parity/eval is not beside the checkout");
  const sp::safetensors_file file(*folder / "unsupervised.safetensors");
  sp::tensor<double, sp::shape<sp::dyn, sp::dyn>> x(
      sp::shape<sp::dyn, sp::dyn>(file.at("features").shape[0], file.at("features").shape[1]));
  file.read("features", x);

  const auto fit = sp::fit_pca(view(std::as_const(x)));
  const auto y = fit.project(view(std::as_const(x)));
  const auto axes = read<double>(file, "pca_components"), at = read<double>(file, "pca_projection");
  const auto rgb = read<std::uint8_t>(file, "pca_rgb");
  for (std::size_t i = 0; i < axes.size(); ++i)
    REQUIRE(fit.axes[i / 10][i % 10] == Approx(axes[i]).margin(1e-9));
  for (std::size_t i = 0; i < at.size(); ++i) REQUIRE(y[i] == Approx(at[i]).margin(1e-9));
  const auto picture = sp::pca_picture(y, {9, 11}, sp::color_scale::of(y, 0));
  for (std::size_t i = 0; i < rgb.size(); ++i)
    REQUIRE(std::abs(int(picture.pixels[i]) - int(rgb[i])) <= 1);
}
