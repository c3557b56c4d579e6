// The ladder of neighbor_topk on a GPU: every kernel that knows a shape, in one program.
//
//   neighbor_topk [--choices]
//
// One line per shape and kernel: median time, the difference of two series, and the share of the
// rate at which the same device copies memory, measured first. Inputs are rotated beyond the
// second-level cache. Bytes are those of docs/kernels/neighbor_topk.md: the features once, 8 bytes
// per neighbor. With --choices the last thing printed is
// kernels/selfpatch/cuda/neighbor_topk/choices.cuh.
//
// build: nvcc -std=c++20 --expt-relaxed-constexpr -O3 -arch=sm_90a -Iinclude -Ikernels
//        bench/ladder/neighbor_topk.cu -o neighbor_topk
#include <selfpatch/core/random.hpp>
#include <selfpatch/cuda/neighbor_topk.cuh>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace selfpatch::device_code {
namespace {

/// Memory of the device.
template <class T>
class buffer {
 public:
  explicit buffer(std::size_t n) : size_(n) { check(cudaMalloc(&data_, n * sizeof(T))); }
  buffer(buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  ~buffer() { cudaFree(data_); }
  T* data() const { return data_; }
  void copy_from(const std::vector<T>& x) {
    check(cudaMemcpy(data_, x.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }

 private:
  T* data_ = nullptr;
  std::size_t size_;
};

struct timing {
  double microseconds, noise;
};

/// The better median of two series of run(0), run(1), ...; how far the other is off.
template <class F>
timing time_of(const F& run, int repetitions = 40) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin));
  check(cudaEventCreate(&end));
  double medians[2];
  for (double& median : medians) {
    std::vector<float> all;
    for (int i = -3; i < repetitions; ++i) {
      check(cudaEventRecord(begin));
      run(i + 3);
      check(cudaEventRecord(end));
      check(cudaEventSynchronize(end));
      float ms = 0;
      check(cudaEventElapsedTime(&ms, begin, end));
      if (i >= 0) all.push_back(1000 * ms);
    }
    std::nth_element(all.begin(), all.begin() + all.size() / 2, all.end());
    median = all[all.size() / 2];
  }
  check(cudaEventDestroy(begin));
  check(cudaEventDestroy(end));
  return {std::min(medians[0], medians[1]), std::abs(medians[0] - medians[1])};
}

/// Bytes per second, read and written, of a copy within the device.
double copy_rate() {
  const std::size_t bytes = std::size_t(1) << 30;
  buffer<char> from(bytes), to(bytes);
  check(cudaMemset(from.data(), 1, bytes));
  const auto t = time_of([&](int) {
    check(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice));
  });
  return 2e6 * double(bytes) / t.microseconds;
}

template <class T>
const char* name_of();
template <>
const char* name_of<bf16>() {
  return "bf16";
}
template <>
const char* name_of<f16>() {
  return "f16";
}
template <>
const char* name_of<float>() {
  return "float";
}

class ladder {
 public:
  explicit ladder(double rate) : rate_(rate) {}

  /// Times all kernels that know M, on so many images; the fastest becomes a choice if it is to.
  template <class M>
  void climb(int images, bool choose = true) {
    using T = typename M::value;
    const std::size_t size = std::size_t(images) * M::patches * M::channels;
    const auto sets = std::clamp<std::size_t>((std::size_t(400) << 20) / (size * sizeof(T)), 1, 16);
    std::vector<T> x(size);
    random draw(7, purpose::test);
    for (T& v : x) v = T(float(draw.uniform()) - 0.4f);
    std::vector<buffer<T>> inputs;
    for (std::size_t s = 0; s < sets; ++s) inputs.emplace_back(size).copy_from(x);
    const std::size_t chosen = std::size_t(images) * M::patches * M::most_k;
    buffer<std::int32_t> index(chosen);
    buffer<float> similarity(chosen);
    const found_neighbors found{index.data(), similarity.data(), M::most_k};

    const double bytes = double(size) * sizeof(T) + 8.0 * double(chosen);
    std::printf("%s %dx%dx%d radius %d %s k %d, %d images, %.1f MB\n", name_of<T>(), M::rows,
                M::cols, M::channels, M::radius, M::torus ? "torus" : "clamped", M::most_k, images,
                bytes / 1e6);
    double best = 1e300;
    const char* fastest = nullptr;
    const auto time = [&](const char* rung, auto&& launch) {
      const auto t = time_of([&](int i) { launch(inputs[std::size_t(i) % sets].data()); });
      std::printf("  %-9s %9.1f us +- %.1f   %5.1f %% of the copy rate\n", rung, t.microseconds,
                  t.noise, 100 * bytes / rate_ / (t.microseconds * 1e-6));
      last_ = t.microseconds;
      if (last_ < best && std::strcmp(rung, "launcher") != 0) best = last_, fastest = rung;
    };
    const grid_window w{M::rows, M::cols, M::radius, M::torus, false};
    time("any shape",
         [&](const T* p) { launch_any_shape(stream{}, p, images, M::channels, w, found); });
    if constexpr (image_plan<M>::fits)
      time("image", [&](const T* p) { launch_image<M>(stream{}, p, images, found); });
    if constexpr (direct_plan<M>::fits)
      time("direct", [&](const T* p) { launch_direct<M>(stream{}, p, images, found); });
    if constexpr (ring_plan<M, 226 * 1024, true>::fits)
      time("ring", [&](const T* p) { launch_ring<M>(stream{}, p, images, found); });
    const neighborhood n{M::most_k, M::radius, M::torus ? border::torus : border::clamped};
    time("launcher", [&](const T* p) {
      neighbor_topk(stream{}, p, images, M::channels, grid{M::rows, M::cols}, n, index.data(),
                    similarity.data());
    });
    std::printf("  the launcher's choice takes %.2f of the fastest\n", last_ / best);
    if (choose && std::strcmp(fastest, "any shape") != 0)
      choices_ += std::string(choices_.empty() ? "" : ",\n      ") + "choice<rung::" + fastest +
                  ", " + std::to_string(M::rows) + ", " + std::to_string(M::cols) + ", " +
                  std::to_string(M::channels) + ", " + std::to_string(M::radius) + ", " +
                  (M::torus ? "true, " : "false, ") + std::to_string(M::most_k) + '>';
  }

  /// All shapes of one number type; what was fastest goes to the list of choices.
  template <class T, class F>
  void climb_all(const F& shapes) {
    choices_.clear();
    shapes();
    lists_ += std::string("\ntemplate <>\nstruct choices_of<") + name_of<T>() +
              "> {\n  using type = choice_list<" + (choices_.empty() ? "" : "\n      ") + choices_ +
              ">;\n};\n";
  }
  const std::string& lists() const { return lists_; }

 private:
  double rate_, last_ = 0;
  std::string choices_, lists_;
};

constexpr const char* choices_head =
    R"(// choices: which kernel computes neighbor_topk for which shape.
//
// Written by bench/ladder/neighbor_topk --choices, measured on %s.
#pragma once

#include <selfpatch/cuda/numbers.cuh>

namespace selfpatch::device_code {

enum class rung { image, direct, ring };

/// A shape the launcher knows, for any k up to K.
template <rung Rung, int Rows, int Cols, int Channels, int Radius, bool Torus, int K>
struct choice {};

template <class... C>
struct choice_list {};

template <class T>
struct choices_of;
%s
}  // namespace selfpatch::device_code
)";

void run(bool choices) {
  cudaDeviceProp device;
  check(cudaGetDeviceProperties(&device, 0));
  const double rate = copy_rate();
  std::printf("%s, %d multiprocessors, copies at %.2f TB/s\n", device.name,
              device.multiProcessorCount, rate / 1e12);
  ladder all(rate);
  all.climb_all<bf16>([&] {
    all.climb<matching<bf16, 14, 14, 192, 1, true, 4>>(4096);
    all.climb<matching<bf16, 6, 6, 192, 1, true, 4>>(16384);
    all.climb<matching<bf16, 14, 14, 384, 1, true, 4>>(256, false);
    all.climb<matching<bf16, 14, 14, 384, 1, true, 4>>(4096);
    all.climb<matching<bf16, 6, 6, 384, 1, true, 4>>(16384);
    all.climb<matching<bf16, 14, 14, 384, 1, true, 8>>(4096);
    all.climb<matching<bf16, 14, 14, 384, 1, false, 8>>(4096);
    all.climb<matching<bf16, 14, 14, 384, 2, true, 8>>(4096);
    all.climb<matching<bf16, 28, 28, 384, 1, true, 4>>(1024);
    all.climb<matching<bf16, 14, 14, 768, 1, true, 4>>(2048);
    all.climb<matching<bf16, 6, 6, 768, 1, true, 4>>(8192);
  });
  all.climb_all<f16>([&] {
    all.climb<matching<f16, 14, 14, 192, 1, true, 4>>(4096);
    all.climb<matching<f16, 14, 14, 384, 1, true, 4>>(4096);
    all.climb<matching<f16, 6, 6, 384, 1, true, 4>>(16384);
  });
  all.climb_all<float>([&] {
    all.climb<matching<float, 14, 14, 192, 1, true, 4>>(2048);
    all.climb<matching<float, 6, 6, 192, 1, true, 4>>(8192);
    all.climb<matching<float, 6, 6, 384, 1, true, 4>>(8192);
    all.climb<matching<float, 14, 14, 384, 1, true, 4>>(2048);
  });
  if (choices) std::printf(choices_head, device.name, all.lists().c_str());
}

}  // namespace
}  // namespace selfpatch::device_code

int main(int argc, char** argv) {
  try {
    selfpatch::device_code::run(argc > 1 && !std::strcmp(argv[1], "--choices"));
  } catch (const selfpatch::error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
