// parity_compare: recorded tensors read in the number type of the run, and the worst element of a
// comparison.
#pragma once

#include <selfpatch/io/safetensors.hpp>

#include "parity_report.hpp"

#include <array>
#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace parity {

using selfpatch::dyn;
using selfpatch::error;
using selfpatch::index;
using selfpatch::problem;
using selfpatch::safetensors_file;
using selfpatch::shape;
using selfpatch::tensor;

/// The number type a check runs in; `recorded` is the one its folder was made in.
enum class precision { recorded, f32, f64 };

/// All values of a stored tensor.
template <class T>
std::vector<T> values_of(const safetensors_file& file, const std::string& name) {
  const auto& entry = file.at(name);
  std::vector<T> values(std::size_t(entry.size()));
  file.read_into(entry, std::span(values));
  return values;
}

/// A stored tensor as one of ours: static extents are checked, dynamic ones come from the file.
template <class T, index... E>
tensor<T, shape<E...>> tensor_of(const safetensors_file& file, const std::string& name) {
  using S = shape<E...>;
  const auto& entry = file.at(name);
  std::array<index, sizeof...(E)> extents{};
  bool fits = entry.shape.size() == sizeof...(E);
  for (std::size_t i = 0; fits && i < extents.size(); ++i) {
    extents[i] = entry.shape[i];
    fits = S::known(index(i)) == dyn || S::known(index(i)) == extents[i];
  }
  if (!fits)
    throw error(problem{
        .what = "cannot use " + file.name(),
        .where = "tensor " + name,
        .expected =
            "shape " + selfpatch::shape_text(std::array<index, sizeof...(E)>{E...}) + ", -1 is any",
        .found = selfpatch::shape_text(entry.shape)});
  tensor<T, S> x(S::from(extents));
  file.read_into(entry, x.values());
  return x;
}

/// Of the numbers that are finite.
inline double largest_of(std::span<const double> values) {
  double most = 0;
  for (const double v : values)
    if (std::isfinite(v)) most = std::max(most, std::abs(v));
  return most;
}

/// Where two lists of numbers differ most.
struct worst_element {
  double error = 0;
  std::size_t at = 0;
  double found = 0, expected = 0;

  std::string text() const {
    char line[120];
    std::snprintf(line, sizeof line, "element %zu is %.17g, expected %.17g", at, found, expected);
    return line;
  }
};

/// Equal infinities do not differ; a NaN differs infinitely from everything.
template <class T>
worst_element worst_of(std::span<const T> found, std::span<const double> expected) {
  worst_element worst;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double f = double(found[i]), e = expected[i];
    double error = f == e ? 0 : std::abs(f - e);
    if (std::isnan(error)) error = std::numeric_limits<double>::infinity();
    if (error > worst.error || i == 0) worst = {error, i, f, e};
  }
  return worst;
}

/// What operations and frozen backbones may differ by in number type T, given their largest value.
template <class T>
double rounding_allowed(double largest) {
  return std::is_same_v<T, double> ? 1e-12 * largest + 1e-14 : 0x1p-16 * largest;
}

/// One row: all of `found` against `expected`.
template <class T>
void compare_values(report& to, const std::string& name, std::span<const T> found,
                    std::span<const double> expected, double tolerance) {
  if (found.size() != expected.size())
    return to.quantity(
        name, std::numeric_limits<double>::infinity(), tolerance,
        std::to_string(found.size()) + " values, expected " + std::to_string(expected.size()));
  const auto worst = worst_of(found, expected);
  to.quantity(name, worst.error, tolerance, expected.empty() ? "" : worst.text());
}

}  // namespace parity
