// timing: what the ladders need of a GPU: memory, the time of a launch, the rate of a copy.
#pragma once

#include <selfpatch/core/random.hpp>
#include <selfpatch/cuda/launch.cuh>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace selfpatch::device_code {

/// Memory of the device.
template <class T>
class buffer {
 public:
  explicit buffer(std::size_t n) : size_(n) { check(cudaMalloc(&data_, n * sizeof(T))); }
  explicit buffer(const std::vector<T>& x) : buffer(x.size()) {
    check(cudaMemcpy(data_, x.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  buffer(buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  ~buffer() { cudaFree(data_); }
  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
  std::size_t size_;
};

template <class T>
std::vector<T> random_values(std::size_t n, std::uint64_t seed) {
  std::vector<T> x(n);
  random draw(seed, purpose::test);
  for (T& v : x) v = T(float(draw.uniform()) - 0.5f);
  return x;
}

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
inline double copy_rate() {
  const std::size_t bytes = std::size_t(1) << 30;
  buffer<char> from(bytes), to(bytes);
  check(cudaMemset(from.data(), 1, bytes));
  const auto t = time_of([&](int) {
    check(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice));
  });
  return 2e6 * double(bytes) / t.microseconds;
}

}  // namespace selfpatch::device_code
