// testing: what every test file includes. Catch2 2.13 or 3 behind one door, and the few helpers tests share.
//
//   random_tensor<double>(shape<dyn, 7>(5), 1)     // normals; the same for the same seed
//   largest_difference(x, y) < 1e-6                // NaN counts as infinite
//   fixture("tiny_f32")                            // tests/fixtures/tiny_f32
//   if (!shared_data("odd_images")) return skip("odd_images is not beside the checkout");
//   temporary_folder scratch;  scratch / "a.png"   // gone at the end of the scope
//   CHECK_THROWS_WITH(f(), contains("expected 3"))
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <selfpatch/core/random.hpp>
#include <selfpatch/core/tensor.hpp>

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <system_error>

#if __has_include(<catch2/catch_all.hpp>)
using Catch::Approx;
/// Matches a text that holds `part`.
inline auto contains(const std::string& part) { return Catch::Matchers::ContainsSubstring(part); }
#else
inline auto contains(const std::string& part) { return Catch::Matchers::Contains(part); }
#endif

namespace testing_detail {

/// Why the running case was skipped; empty while it was not. Read and cleared by main.cpp after each case.
inline std::string skipped_because;

}  // namespace testing_detail

/// Says that the rest of a case cannot run here. Written `return skip("reason")`; the case counts as skipped, not as
/// passed, unless a check before it failed.
inline void skip(const std::string& reason) {
  testing_detail::skipped_because = reason.empty() ? std::string("no reason given") : reason;
  std::printf("skipped: %s\n", testing_detail::skipped_because.c_str());
  std::fflush(stdout);
}

/// A tensor of normals (mean 0, deviation 1), the same for the same shape and seed.
template <class T, class Shape>
auto random_tensor(Shape s, std::uint64_t seed = 0) {
  selfpatch::tensor<T, Shape> x(s);
  selfpatch::random draws(seed, selfpatch::purpose::test);
  for (T& value : x.values()) value = T(draws.normal());
  return x;
}

/// max |x - y| over two tensors of equal size; infinite where sizes differ or a difference is not a number.
template <class X, class Y>
double largest_difference(const X& x, const Y& y) {
  if (x.size() != y.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (selfpatch::index i = 0; i < x.size(); ++i) {
    const double a = double(x.data()[i]), b = double(y.data()[i]);
    const double difference = a == b ? 0 : std::abs(a - b);
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    worst = difference > worst ? difference : worst;
  }
  return worst;
}

/// The folder of a committed fixture.
inline std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(__FILE__).parent_path() / "fixtures" / name;
}

/// Optional data that is not part of the checkout: in the folder SELFPATCH_SHARED names, else in `shared` beside the
/// checkout. Nothing where it is absent.
inline std::optional<std::filesystem::path> shared_data(const std::string& name) {
  const char* set = std::getenv("SELFPATCH_SHARED");
  const auto tests = std::filesystem::absolute(__FILE__).parent_path();
  const auto root = set ? std::filesystem::path(set) : tests.parent_path().parent_path() / "shared";
  std::error_code ignored;
  if (!std::filesystem::exists(root / name, ignored)) return std::nullopt;
  return root / name;
}

/// A program of bin/ of the build folder this test program lies in. Tests that run programs stand in tests/programs/,
/// which is built only where the programs are.
inline std::filesystem::path program(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" / name;
}

/// An empty folder that is removed with everything in it at the end of the scope.
class temporary_folder {
 public:
  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "selfpatch-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// All bytes of a file.
inline std::string file_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
}
