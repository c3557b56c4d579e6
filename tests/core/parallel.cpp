#include <selfpatch/core/parallel.hpp>

#include "testing.hpp"

#include <atomic>
#include <memory>
#include <set>
#include <stdexcept>

namespace sp = selfpatch;

TEST_CASE("a pool runs every chunk once, for any number of threads", "[core][parallel]") {
  for (int threads = 1; threads <= 4; ++threads) {
    sp::thread_pool pool(threads);
    CHECK(pool.threads() == threads);
    for (const int chunks : {0, 1, 2, 3, 100, 1000}) {
      const auto seen = std::make_unique<std::atomic<int>[]>(std::size_t(chunks) + 1);
      pool(chunks, [&](sp::index c) { ++seen[std::size_t(c)]; });
      int wrong = 0;
      for (int c = 0; c < chunks; ++c) wrong += seen[std::size_t(c)] != 1;
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("a pool of no given size has a thread per processor", "[core][parallel]") {
  CHECK(sp::thread_pool(0).threads() >= 1);
  CHECK(sp::thread_pool(-3).threads() == sp::thread_pool(0).threads());
}

TEST_CASE("what chunks wrote is there when the pool returns, round after round",
          "[core][parallel]") {
  sp::thread_pool pool(3);
  std::vector<int> sums(64);
  for (int round = 1; round <= 2000; ++round) {
    pool(64, [&](sp::index c) { sums[std::size_t(c)] += int(c); });
    if (sums[63] != 63 * round) FAIL("round " << round);
  }
  for (int c = 0; c < 64; ++c) CHECK(sums[std::size_t(c)] == 2000 * c);
}

TEST_CASE("a pool passes the exception of a chunk on and works afterwards", "[core][parallel]") {
  for (int threads = 1; threads <= 4; ++threads) {
    sp::thread_pool pool(threads);
    for (int round = 0; round < 20; ++round) {
      CHECK_THROWS_WITH(pool(50,
                             [](sp::index c) {
                               if (c == 17) throw std::runtime_error("chunk 17");
                             }),
                        "chunk 17");
      std::atomic<int> done{0};
      pool(50, [&](sp::index) { ++done; });
      CHECK(done == 50);
    }
  }
}

TEST_CASE("a pool where every chunk throws passes one exception on", "[core][parallel]") {
  sp::thread_pool pool(4);
  CHECK_THROWS_AS(pool(100, [](sp::index) { throw std::runtime_error("any"); }),
                  std::runtime_error);
}

TEST_CASE("a call from inside a chunk runs its own chunks in order on the calling thread",
          "[core][parallel]") {
  sp::thread_pool pool(3);
  std::atomic<int> out_of_order{0}, done{0};
  pool(8, [&](sp::index) {
    std::vector<sp::index> order;
    const auto me = std::this_thread::get_id();
    pool(5, [&](sp::index c) {
      if (std::this_thread::get_id() != me) ++out_of_order;
      order.push_back(c);
      ++done;
    });
    if (order != std::vector<sp::index>{0, 1, 2, 3, 4}) ++out_of_order;
  });
  CHECK(out_of_order == 0);
  CHECK(done == 40);
}

TEST_CASE("chunks of unequal length are shared among threads", "[core][parallel]") {
  sp::thread_pool pool(4);
  std::atomic<long> sum{0};
  pool(200, [&](sp::index c) {
    long x = 0;
    for (long i = 0; i < c * 100; ++i) x += i % 7;
    sum += x;
  });
  long expected = 0;
  for (long c = 0; c < 200; ++c)
    for (long i = 0; i < c * 100; ++i) expected += i % 7;
  CHECK(sum == expected);
}

TEST_CASE("pools come and go without work", "[core][parallel]") {
  for (int i = 0; i < 50; ++i) {
    sp::thread_pool pool(3);
    if (i % 2) pool(3, [](sp::index) {});
  }
  SUCCEED();
}
