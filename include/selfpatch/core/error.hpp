// error: the one exception of the library: what went wrong, where, what was expected, what was
// found, what to do.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace selfpatch {

/// The parts of a message. Only `what` is needed; empty parts are left out of the sentence.
struct problem {
  std::string what{};      ///< "cannot read images/0412.png"
  std::string where{};     ///< a file, a tensor, an option
  std::string expected{};  ///< "at most 64 M pixels"
  std::string found{};     ///< "30000 x 30000"
  std::string hint{};      ///< "raise --max-pixels"
};

/// What a caller did wrong: bad input, bad shapes, bad files. One line, fit to be shown to a user
/// as it stands.
class error : public std::runtime_error {
 public:
  explicit error(problem p) : std::runtime_error(sentence(p)), parts(std::move(p)) {}
  explicit error(std::string what) : error(problem{.what = std::move(what)}) {}

  problem parts;

 private:
  static std::string sentence(const problem& p) {
    std::string s = p.what;
    const auto add = [&](std::string_view label, const std::string& part) {
      if (!part.empty()) s.append(label).append(part);
    };
    add(": ", p.where);
    add("; expected ", p.expected);
    add(", found ", p.found);
    add("; ", p.hint);
    return s;
  }
};

/// The output cannot be written: disk full, no permission. Programs end with status 73.
class write_error : public error {
 public:
  using error::error;
};

/// A precondition only the run can check; throws in every build.
inline void expects(bool holds, const char* sentence) {
  if (!holds) [[unlikely]]
    throw error(sentence);
}

}  // namespace selfpatch
