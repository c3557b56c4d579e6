// launch: how kernels start, and what the device they start on can do.
#pragma once

#include <selfpatch/core/error.hpp>
#include <selfpatch/cuda/device.cuh>

#include <string>
#include <type_traits>

#if defined(__CUDACC__)
#include <source_location>
#endif

namespace selfpatch::device_code {

/// What launchers decide by.
struct device_traits {
  int processors = 0;        ///< multiprocessors
  int shared = 0;            ///< bytes of shared memory a block may have
  bool bulk_copies = false;  ///< sm_90 and later
};

struct launch_shape {
  int blocks = 1, threads = 1, shared = 0;
};

#if defined(__CUDACC__)

using stream = cudaStream_t;

inline void check(cudaError_t status, std::source_location at = std::source_location::current()) {
  if (status == cudaSuccess) return;
  throw error(problem{.what = "a CUDA call failed",
                      .where = std::string(at.file_name()) + ':' + std::to_string(at.line()),
                      .expected = "success",
                      .found = cudaGetErrorString(status)});
}

inline device_traits current_device() {
  int device = 0, major = 0;
  device_traits d;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  check(cudaDeviceGetAttribute(&d.processors, cudaDevAttrMultiProcessorCount, device));
  check(cudaDeviceGetAttribute(&d.shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  d.bulk_copies = major >= 9;
  return d;
}

/// The only chevrons of the project. More than 48 kB of shared memory must be asked for by name.
template <class... P>
void launch(stream on, const launch_shape& s, void (*kernel)(P...),
            std::type_identity_t<P>... arguments) {
  if (s.shared > 48 * 1024)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, s.shared));
  kernel<<<s.blocks, s.threads, s.shared, on>>>(arguments...);
  check(cudaGetLastError());
}

#else

struct stream {};  // the CPU has one, and it has always caught up

inline device_traits current_device() {
  const auto& o = simt::current_options();
  return {o.processors, int(o.shared), o.bulk_copies};
}

template <class... P>
void launch(stream, const launch_shape& s, void (*kernel)(P...),
            std::type_identity_t<P>... arguments) {
  simt::launch(unsigned(s.blocks), unsigned(s.threads), std::size_t(s.shared),
               [&] { kernel(arguments...); });
}

#endif

}  // namespace selfpatch::device_code
