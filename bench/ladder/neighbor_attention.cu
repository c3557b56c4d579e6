// The ladder of neighbor_attention and neighbor_similarity on a GPU: every kernel, in one program.
//
// One line per shape and kernel: median time, the difference of two series, and the share of the
// rate at which the same device copies memory, measured first. Inputs are rotated beyond the
// second-level cache. Bytes are those of docs/kernels/neighbor_attention.md: every row once.
//
// build: nvcc -std=c++20 --expt-relaxed-constexpr -O3 -arch=sm_90a -Iinclude -Ikernels
//        bench/ladder/neighbor_attention.cu -o neighbor_attention
#include <selfpatch/cuda/neighbor_attention.cuh>
#include <selfpatch/cuda/neighbor_similarity.cuh>
#include <selfpatch/cuda/neighbor_topk.cuh>

#include "timing.hpp"

#include <cstdio>

namespace selfpatch::device_code {
namespace {

struct shape {
  const char* name;
  int images;
  grid on;
  int heads;
  bool shared = false;
};

/// Tensors of one layer; several sets of them are used in turn.
template <class T>
struct tensors {
  buffer<T> q, k0, v0, k, v, dy, y, dq, dk0, dv0, dk, dv;
  buffer<std::int32_t> index;
  buffer<float> similarity, p, workspace;

  tensors(const neighbor_attention_extents& s, grid g, const neighborhood& n)
      : q(values(s, s.shared, 1)),
        k0(values(s, s.shared, 2)),
        v0(values(s, s.shared, 3)),
        k(values(s, false, 4)),
        v(values(s, false, 5)),
        dy(values(s, false, 6)),
        y(size(s, false)),
        dq(size(s, s.shared)),
        dk0(size(s, s.shared)),
        dv0(size(s, s.shared)),
        dk(size(s, false)),
        dv(size(s, false)),
        index(std::size_t(s.queries()) * s.k),
        similarity(std::size_t(s.queries()) * s.k),
        p(std::size_t(attention_ds_size(s))),
        workspace(std::size_t(neighbor_attention_workspace(s))) {
    neighbor_topk(stream{}, k.data(), s.B, s.W(), g, n, index.data(), similarity.data());
    launch_attention_forward(stream{}, s, inputs(), y.data(), p.data());
  }
  neighbor_attention_inputs<T> inputs() const {
    return {q.data(), k0.data(), v0.data(), k.data(), v.data(), index.data()};
  }
  neighbor_attention_gradients<T> gradients() const {
    return {dq.data(), dk0.data(), dv0.data(), dk.data(), dv.data(), false};
  }

 private:
  static std::size_t size(const neighbor_attention_extents& s, bool one) {
    return std::size_t(one ? 1 : s.queries()) * s.W();
  }
  static std::vector<T> values(const neighbor_attention_extents& s, bool one, int seed) {
    return random_values<T>(size(s, one), seed);
  }
};

class ladder {
 public:
  explicit ladder(double rate) : rate_(rate) {}

  template <class T>
  void climb(const shape& l) {
    const neighborhood n{.k = 4};
    const neighbor_attention_extents s{l.images, int(l.on.size()), l.heads, 64, 4, l.shared};
    const grid_window window{int(l.on.rows), int(l.on.cols), 1, true, false};
    std::vector<tensors<T>> sets;
    for (int i = 0; i < 3; ++i) sets.emplace_back(s, l.on, n);
    const auto set = [&](int i) -> tensors<T>& { return sets[std::size_t(i) % sets.size()]; };

    const double row = double(s.W()) * sizeof(T), saved = 4.0 * s.H * (s.k + 1), slots = 4.0 * s.k;
    const double forward = s.queries() * ((s.shared ? 3 : 6) * row + saved + slots);
    const double backward = s.queries() * ((s.shared ? 5 : 11) * row + saved + slots);
    const double similarity = s.queries() * (2 * row + 3 * slots);
    std::printf("%s %dx%d, %d heads of 64, k 4, %d images%s\n", l.name, int(l.on.rows),
                int(l.on.cols), s.H, s.B, s.shared ? ", one query for all" : "");

    time("forward direct", forward, [&](int i) {
      launch_attention_forward(stream{}, s, set(i).inputs(), set(i).y.data(), set(i).p.data());
    });
    if (attention_forward_shared_bytes<T>(s) <= current_device().shared)
      time("forward staged", forward, [&](int i) {
        launch_attention_forward_staged(stream{}, s, set(i).inputs(), set(i).y.data(),
                                        set(i).p.data());
      });
    time("forward launcher", forward, [&](int i) {
      selfpatch::neighbor_attention_forward(stream{}, s, set(i).inputs(), set(i).y.data(),
                                            set(i).p.data());
    });
    time("backward direct", backward, [&](int i) {
      launch_attention_backward(stream{}, s, window, set(i).inputs(), set(i).p.data(),
                                set(i).dy.data(), set(i).gradients(), set(i).workspace.data());
    });
    time("backward anywhere", backward, [&](int i) {
      launch_attention_backward(stream{}, s, whole_image(s.N), set(i).inputs(), set(i).p.data(),
                                set(i).dy.data(), set(i).gradients(), set(i).workspace.data());
    });
    if (!s.shared && attention_backward_shared_bytes<T>(s) <= current_device().shared)
      time("backward staged", backward, [&](int i) {
        launch_attention_backward_staged(stream{}, s, window, set(i).inputs(), set(i).p.data(),
                                         set(i).dy.data(), set(i).gradients());
      });
    time("similarity backward", similarity, [&](int i) {
      selfpatch::neighbor_similarity_backward(
          stream{}, set(i).k.data(), s.B, s.W(), window,
          {set(i).index.data(), set(i).similarity.data(), set(i).p.data(), s.k}, set(i).dk.data());
    });
  }

 private:
  template <class F>
  void time(const char* name, double bytes, const F& run) {
    const auto t = time_of(run);
    std::printf("  %-20s %9.1f us +- %.1f   %5.1f %% of the copy rate\n", name, t.microseconds,
                t.noise, 100 * bytes / rate_ / (t.microseconds * 1e-6));
  }

  double rate_;
};

void run() {
  cudaDeviceProp device;
  check(cudaGetDeviceProperties(&device, 0));
  const double rate = copy_rate();
  std::printf("%s, %d multiprocessors, copies at %.2f TB/s\n", device.name,
              device.multiProcessorCount, rate / 1e12);
  ladder all(rate);
  all.climb<bf16>({"bf16", 256, {14, 14}, 6});
  all.climb<bf16>({"bf16", 1024, {14, 14}, 6});
  all.climb<bf16>({"bf16", 1024, {14, 14}, 6, true});
  all.climb<bf16>({"bf16", 1024, {6, 6}, 6});
  all.climb<bf16>({"bf16", 256, {28, 28}, 6});
  all.climb<f16>({"f16", 512, {14, 14}, 12});
  all.climb<float>({"float", 256, {14, 14}, 6});
  all.climb<float>({"float", 1024, {6, 6}, 3});
}

}  // namespace
}  // namespace selfpatch::device_code

int main() {
  try {
    selfpatch::device_code::run();
  } catch (const selfpatch::error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
