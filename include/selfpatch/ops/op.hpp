// op: what every operation shares.
//
// An op is a value with
//
//   forward(inputs...)                        -> result{value, saved}
//   backward(dy, saved, inputs, gradients)    adds to the gradients (pointers, null if not wanted)
//
// free of any device; the numbers are computed by kernel<Op, Device>. Its first argument is always
// the context of the first input: threads or a stream, null for the calling thread.
#pragma once

#include <selfpatch/autograd/tape.hpp>
#include <selfpatch/core/tensor.hpp>

namespace selfpatch {

namespace detail {
template <class S, index N>
struct replace_last;
template <index N, index... E>
struct replace_last<shape<E...>, N> {
  template <std::size_t... I>
  static auto pick(std::index_sequence<I...>) -> shape<shape<E...>::known(index(I))..., N>;
  using type = decltype(pick(std::make_index_sequence<sizeof...(E) - 1>()));
};
}  // namespace detail

/// Shape S with N as its last extent.
template <class S, index N>
using with_last_t = typename detail::replace_last<S, N>::type;

template <index N, class S>
auto with_last(const S& s, index n) {
  auto extents = s.extents();
  extents.back() = n;
  return with_last_t<S, N>::from(extents);
}

/// Extents that only the run knows must agree too.
inline void same_extent(index a, index b, const char* sentence) {
  if (a != b) [[unlikely]]
    throw error(
        problem{.what = sentence, .expected = std::to_string(a), .found = std::to_string(b)});
}

}  // namespace selfpatch
