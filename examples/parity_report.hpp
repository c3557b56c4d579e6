// parity_report: what a parity check found, one row per quantity, and the line it ends with.
//
// A row holds an error and the tolerance it is measured by; its ratio is error / tolerance. Bytes
// that must be equal have tolerance 0: ratio 0 when they are, infinite when one is not. A ratio
// above 1, or NaN, fails the check.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace parity {

struct report {
  struct row {
    std::string name;
    double error = 0, tolerance = 0;
    std::string detail;

    double ratio() const {
      if (error == 0) return 0;
      return error > 0 && tolerance > 0 ? error / tolerance
                                        : std::numeric_limits<double>::infinity();
    }
  };

  bool verbose = false;  ///< print details of every row, not only of those that fail
  std::vector<row> rows;

  /// `differing` of `total` bytes (or entries) are not what they must be.
  void exact(std::string name, std::size_t differing, std::size_t total, std::string detail = "") {
    if (differing > 0)
      detail = std::to_string(differing) + " of " + std::to_string(total) + " differ" +
               (detail.empty() ? "" : "; ") + detail;
    rows.push_back({std::move(name), double(differing), 0, std::move(detail)});
  }

  void quantity(std::string name, double error, double tolerance, std::string detail = "") {
    rows.push_back({std::move(name), error, tolerance, std::move(detail)});
  }

  double worst() const { return rows.empty() ? 0 : rows[worst_row()].ratio(); }

  /// The table and the last line; the exit status.
  int print(std::FILE* to = stdout) const {
    std::size_t width = 8;
    for (const row& r : rows) width = r.name.size() > width ? r.name.size() : width;
    std::fprintf(to, "%-*s  %10s  %10s  %8s\n", int(width), "quantity", "error", "tolerance",
                 "ratio");
    for (const row& r : rows) {
      const bool failed = !(r.ratio() <= 1);
      std::fprintf(to, "%-*s  %10.3g  %10.3g  %8.3g%s", int(width), r.name.c_str(), r.error,
                   r.tolerance, r.ratio(), failed ? "  FAILED" : "");
      std::fprintf(to, (verbose || failed) && !r.detail.empty() ? "  %s\n" : "\n",
                   r.detail.c_str());
    }
    if (rows.empty()) {
      std::fprintf(to, "parity: 0 quantities\n");
      return 1;
    }
    std::fprintf(to, "parity: %zu quantities, worst %.3g of its tolerance at %s\n", rows.size(),
                 worst(), rows[worst_row()].name.c_str());
    return worst() <= 1 ? 0 : 1;
  }

 private:
  std::size_t worst_row() const {
    std::size_t at = 0;
    for (std::size_t i = 1; i < rows.size(); ++i)
      if (!(rows[i].ratio() <= rows[at].ratio())) at = i;
    return at;
  }
};

}  // namespace parity
