// matching_runs: every kernel of neighbor_topk by itself, on inputs of matching_testing.hpp.
#pragma once

#include "matching_testing.hpp"

/// What a launch writes, which must end where the output does.
template <class F, class In>
matching_output output_of(const In& in, sp::index k, const F& launch) {
  const sp::index behind = 64;
  matching_output out(in.patches() + behind, k);
  launch(sp::device_code::found_neighbors{out.index.data(), out.similarity.data(), int(k)});
  synchronize();
  const auto end = out.index.begin() + in.patches() * k;
  if (std::any_of(end, out.index.end(), [](int i) { return i != matching_output::unwritten; }))
    throw std::runtime_error("written behind the end of the output");
  out.index.erase(end, out.index.end());
  out.similarity.resize(out.index.size());
  return out;
}

template <class In>
matching_output run_any_shape(const In& in, const sp::neighborhood& n) {
  return output_of(in, n.k, [&](const auto& to) {
    sp::device_code::launch_any_shape({}, in.x.data(), int(in.images), int(in.channels),
                                      {int(in.grid.rows), int(in.grid.cols), int(n.radius),
                                       n.edge == sp::border::torus, n.include_self},
                                      to);
  });
}

/// A ring in as much shared memory as `Shared`, on so many blocks.
template <class M, int Shared, bool Bulk, class In>
matching_output run_ring(const In& in, sp::index k, int blocks) {
  return output_of(in, k, [&](const auto& to) {
    using P = sp::device_code::ring_plan<M, Shared, Bulk>;
    auto device = sp::device_code::current_device();
    device.processors = blocks;
    sp::device_code::launch_ring_plan<M, P>({}, in.x.data(), int(in.images), to, device);
  });
}

/// Shared memory for the smallest ring of a shape: it goes round all the time.
template <class M>
constexpr int tight = [] {
  using P = sp::device_code::ring_plan<M, 226 * 1024, true>;
  return P::table_count * P::table_bytes + 1024 + (P::reach + 2) * P::slot_bytes;
}();

template <class M>
sp::neighborhood window_of(sp::index k) {
  return {.k = k, .radius = M::radius, .edge = M::torus ? sp::border::torus : sp::border::clamped};
}

/// f(name, output) for every kernel that knows the shape and runs on this device.
template <class M, class In, class F>
void every_kernel(const In& in, sp::index k, int blocks, const F& f) {
  namespace dc = sp::device_code;
  const auto* x = in.x.data();
  const int images = int(in.images);
  const bool bulk = dc::current_device().bulk_copies;
  f("any shape", run_any_shape(in, window_of<M>(k)));
  if constexpr (dc::direct_plan<M>::fits)
    f("direct", output_of(in, k, [&](const auto& to) { dc::launch_direct<M>({}, x, images, to); }));
  if constexpr (dc::image_plan<M>::fits)
    if (bulk)
      f("image", output_of(in, k, [&](const auto& to) { dc::launch_image<M>({}, x, images, to); }));
  if constexpr (dc::ring_plan<M, 226 * 1024, true>::fits) {
    if (bulk) f("ring", run_ring<M, 226 * 1024, true>(in, k, blocks));
    if (bulk) f("tight ring", run_ring<M, tight<M>, true>(in, k, blocks));
    f("tight ring without bulk copies", run_ring<M, tight<M>, false>(in, k, blocks));
  }
}
