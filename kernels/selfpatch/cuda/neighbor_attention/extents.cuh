// extents: what the kernels of neighbor attention are told, by value.
#pragma once

#include <cstdint>

namespace selfpatch {

/// B images of N patches, H heads of P channels, k slots a patch.
struct neighbor_attention_extents {
  int B, N, H, P, k;
  bool shared;  ///< one q, k0 and v0 for all patches

  constexpr int W() const { return H * P; }
  constexpr int queries() const { return B * N; }
  constexpr int pairs() const { return B * N * H; }  ///< of a query and a head
};

template <class T>
struct neighbor_attention_inputs {
  const T *q, *k0, *v0, *k, *v;
  const std::int32_t* index;
};

template <class T>
struct neighbor_attention_gradients {
  T *q, *k0, *v0, *k, *v;  ///< null where not wanted
  bool add;                ///< to what is there, instead of writing over it
};

}  // namespace selfpatch
