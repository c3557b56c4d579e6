// races: a happens-before race detector for the shared memory of one block.
//
// Every actor (each thread, and the copy engine) has a vector clock; every word of 4 bytes
// remembers its last writer and the readers since. Two accesses of which one writes must be ordered
// by a chain of barriers, warp collectives, or arrivals and waits, in whatever order the fibers
// happened to run.
#pragma once

#include "site.hpp"

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace simt {

class race_detector {
 public:
  race_detector(int actors, std::size_t bytes)
      : clocks_(std::size_t(actors), clock(std::size_t(actors), 0)), words_(bytes / 4 + 1) {
    for (std::size_t a = 0; a < clocks_.size(); ++a) clocks_[a][a] = 1;
  }

  /// Records an access; the description of a race, empty if there is none.
  std::string access(int actor, std::size_t offset, std::size_t bytes, bool write,
                     const site& where) {
    const clock& now = clocks_[std::size_t(actor)];
    const auto ordered = [&](const event& e) {
      return e.actor == actor || e.time <= now[std::size_t(e.actor)];
    };
    const event mine{actor, now[std::size_t(actor)], where};
    for (std::size_t w = offset / 4; w <= (offset + bytes - 1) / 4; ++w) {
      word& at = words_[w];
      if (at.writer.actor >= 0 && !ordered(at.writer)) return race(w, mine, write, at.writer, true);
      if (!write) {
        remember(at.readers, mine);
        continue;
      }
      for (const event& reader : at.readers)
        if (!ordered(reader)) return race(w, mine, true, reader, false);
      at.readers.clear();
      at.writer = mine;
    }
    return {};
  }

  /// All of `actors` have met: what each did before comes before what any does after.
  void meet(const std::vector<int>& actors) {
    clock all(clocks_.size(), 0);
    for (int a : actors) join(all, clocks_[std::size_t(a)]);
    for (int a : actors) {
      clocks_[std::size_t(a)] = all;
      ++clocks_[std::size_t(a)][std::size_t(a)];
    }
  }

  /// What `actor` did so far comes before whatever an acquirer of `object` does next.
  void release(int actor, const void* object) {
    join(clock_of(object), clocks_[std::size_t(actor)]);
    ++clocks_[std::size_t(actor)][std::size_t(actor)];
  }
  void acquire(int actor, const void* object) {
    join(clocks_[std::size_t(actor)], clock_of(object));
  }
  /// `actor` sets `other` to work.
  void start(int actor, int other) {
    join(clocks_[std::size_t(other)], clocks_[std::size_t(actor)]);
    ++clocks_[std::size_t(actor)][std::size_t(actor)];
  }

 private:
  using clock = std::vector<std::uint32_t>;
  struct event {
    int actor = -1;
    std::uint32_t time = 0;
    site where{};
  };
  struct word {
    event writer;
    std::vector<event> readers;
  };

  static void join(clock& a, const clock& b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = std::max(a[i], b[i]);
  }
  clock& clock_of(const void* object) {
    return objects_.try_emplace(object, clocks_.size(), 0).first->second;
  }
  static void remember(std::vector<event>& readers, const event& mine) {
    for (event& reader : readers)
      if (reader.actor == mine.actor) {
        reader = mine;
        return;
      }
    readers.push_back(mine);
  }
  std::string race(std::size_t w, const event& mine, bool write, const event& other,
                   bool other_wrote) const {
    const auto name = [&](int actor) {
      return actor + 1 == int(clocks_.size()) ? std::string("the copy engine")
                                              : "thread " + std::to_string(actor);
    };
    return std::string("race: ") + (write ? "write" : "read") + " of shared word " +
           std::to_string(w) + " by " + name(mine.actor) + " (" + mine.where.text() +
           ") is not ordered after the " + (other_wrote ? "write" : "read") + " by " +
           name(other.actor) + " (" + other.where.text() + ")";
  }

  std::vector<clock> clocks_;
  std::vector<word> words_;
  std::unordered_map<const void*, clock> objects_;
};

}  // namespace simt
