// site: which operation of a kernel stands where; what diagnostics name and what collectives
// compare.
#pragma once

#include <cstring>
#include <source_location>
#include <string>

namespace simt {

using location = std::source_location;

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
