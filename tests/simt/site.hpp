// site: which operation of a kernel stands where; what diagnostics name and what collectives
// compare.
#pragma once

#include <cstring>
#include <source_location>
#include <string>

namespace simt {

#if defined(__cpp_lib_source_location)
using location = std::source_location;
#else  // clang before 16: no columns, so two operations on one line are one place
class location {
 public:
  static constexpr location current(const char* file = __builtin_FILE(),
                                    unsigned line = __builtin_LINE()) {
    location here;
    here.file_ = file;
    here.line_ = line;
    return here;
  }
  constexpr const char* file_name() const { return file_; }
  constexpr unsigned line() const { return line_; }
  constexpr unsigned column() const { return 0; }

 private:
  const char* file_ = "";
  unsigned line_ = 0;
};
#endif

struct site {
  const char* what = "";
  location at{};

  bool operator==(const site& other) const {
    return at.line() == other.at.line() && at.column() == other.at.column() &&
           !std::strcmp(what, other.what) && !std::strcmp(at.file_name(), other.at.file_name());
  }
  std::string text() const {
    const std::string file = at.file_name();
    return std::string(what) + " at " + file.substr(file.rfind('/') + 1) + ':' +
           std::to_string(at.line());
  }
};

}  // namespace simt
