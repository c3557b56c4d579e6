// shape: the extents of a tensor, each known to the compiler or, where it says `dyn`, to the run.
//
//   shape<dyn, 196, 384> s(8);     // 8 x 196 x 384; only the 8 is stored
//
// Two extents are compatible when they are equal or one of them is dynamic (and then checked when
// run).
#pragma once

#include <selfpatch/core/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace selfpatch {

using index = std::ptrdiff_t;
inline constexpr index dyn = -1;

/// True when the compiler cannot rule out that two extents are equal. A variable template, so that
/// a failed assertion prints the two numbers: `same_width<384, 192>`.
template <index A, index B>
inline constexpr bool same_width = A == B || A == dyn || B == dyn;

template <index... E>
class shape {
  static_assert(((E >= 0 || E == dyn) && ...), "shape<E...>: an extent is 0 or more, or dyn");
  static constexpr std::size_t dynamic = (std::size_t(E == dyn) + ... + 0);

 public:
  static constexpr index rank = sizeof...(E);
  static constexpr bool is_static = dynamic == 0;

  /// The extent of axis i if the type knows it, else dyn.
  static constexpr index known(index i) {
    return std::array<index, rank + 1>{E..., 0}[std::size_t(i)];
  }

  constexpr shape() = default;

  /// One argument per dynamic extent, in order.
  template <class... I>
  requires(sizeof...(I) == dynamic && dynamic > 0) explicit constexpr shape(I... extents)
      : dynamic_{index(extents)...} {
    for (index e : dynamic_) expects(e >= 0, "shape: an extent is 0 or more");
  }

  /// From all extents; throws where one contradicts the type.
  static constexpr shape from(const std::array<index, std::size_t(rank)>& extents) {
    shape s;
    std::size_t d = 0;
    for (index i = 0; i < rank; ++i) {
      const index e = extents[std::size_t(i)];
      expects(e >= 0, "shape: an extent is 0 or more");
      if (known(i) == dyn)
        s.dynamic_[d++] = e;
      else if (known(i) != e)
        throw error(
            problem{.what = "shape::from: extent " + std::to_string(i) + " is fixed by the type",
                    .expected = std::to_string(known(i)),
                    .found = std::to_string(e)});
    }
    return s;
  }

  constexpr index operator[](index i) const {
    if (known(i) != dyn) return known(i);
    std::size_t d = 0;
    for (index j = 0; j < i; ++j) d += known(j) == dyn;
    return dynamic_[d];
  }

  constexpr std::array<index, std::size_t(rank)> extents() const {
    std::array<index, std::size_t(rank)> all{};
    for (index i = 0; i < rank; ++i) all[std::size_t(i)] = (*this)[i];
    return all;
  }

  constexpr index size() const {
    index n = 1;
    for (index i = 0; i < rank; ++i) n *= (*this)[i];
    return n;
  }

  constexpr bool operator==(const shape&) const = default;

 private:
  [[no_unique_address]] std::array<index, dynamic> dynamic_{};
};

/// The last extent of a shape type, dyn if only the run knows it.
template <class S>
inline constexpr index last = S::known(S::rank - 1);

/// "8 x 196 x 384", for messages.
template <index... E>
std::string to_string(const shape<E...>& s) {
  std::string text;
  for (index i = 0; i < s.rank; ++i) text.append(i ? " x " : "").append(std::to_string(s[i]));
  return text;
}

}  // namespace selfpatch
