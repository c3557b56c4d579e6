// recorded_files: the file operations of a save, written down, and every state a power cut may
// leave of them.
//
// Rules of the model: what was synced stays. Of what was not, any subset may survive: of the writes
// to a file any blocks of 512 bytes, of the changes to a folder any of the creations, renames,
// links and removals.
#pragma once

#include <selfpatch/io/file.hpp>

#include "testing.hpp"

#include <map>
#include <vector>

namespace faults {

namespace sp = selfpatch;

struct operation {
  enum { write, sync, name, unname, sync_folder, acknowledge } kind;
  int inode = -1;          // write, sync, name
  std::string bytes = {};  // write
  std::string to = {};     // name, unname: what is set or erased
  std::string from = {};   // name: erased in the same instant, if not empty
};

/// What was done, from a known state of a folder on.
struct record {
  std::vector<operation> operations;
  std::vector<std::string> contents;   // per inode, now
  std::map<std::string, int> names;    // now
  std::vector<std::string> first;      // per inode, durable at the start
  std::map<std::string, int> started;  // names at the start
  std::map<int, int> open;             // inode by descriptor
  int folder = -1;

  bool drop_file_sync = false, drop_folder_sync = false, links = true;

  explicit record(const std::filesystem::path& path) {
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      names[entry.path().filename()] = int(contents.size());
      contents.push_back(file_bytes(entry.path()));
    }
    first = contents;
    started = names;
  }
  void acknowledge() { operations.push_back({.kind = operation::acknowledge}); }
};

inline std::string name_of(const char* path) { return std::filesystem::path(path).filename(); }

/// Does what system_files does, and writes down what succeeded.
struct recorded_files {
  record* log;
  sp::system_files real{};

  int create(const char* path) {
    const int file = real.create(path);
    if (file < 0) return file;
    const int inode = int(log->contents.size());
    log->contents.emplace_back();
    log->open[file] = inode;
    log->names[name_of(path)] = inode;
    log->operations.push_back({.kind = operation::name, .inode = inode, .to = name_of(path)});
    return file;
  }
  std::ptrdiff_t write(int file, const void* from, std::size_t bytes) {
    const auto n = real.write(file, from, bytes);
    if (n > 0) {
      const std::string text(static_cast<const char*>(from), std::size_t(n));
      log->operations.push_back(
          {.kind = operation::write, .inode = log->open[file], .bytes = text});
      log->contents[std::size_t(log->open[file])] += text;
    }
    return n;
  }
  int reserve(int file, std::int64_t bytes) { return real.reserve(file, bytes); }
  int sync(int file) {
    if (file == log->folder) {
      if (!log->drop_folder_sync) log->operations.push_back({.kind = operation::sync_folder});
    } else if (!log->drop_file_sync) {
      log->operations.push_back({.kind = operation::sync, .inode = log->open[file]});
    }
    return 0;
  }
  int close(int file) {
    if (file == log->folder) log->folder = -1;
    return real.close(file);
  }
  int rename(const char* from, const char* to) {
    const int r = real.rename(from, to);
    if (r == 0) {
      const int inode = log->names[name_of(from)];
      log->names.erase(name_of(from));
      log->names[name_of(to)] = inode;
      log->operations.push_back(
          {.kind = operation::name, .inode = inode, .to = name_of(to), .from = name_of(from)});
    }
    return r;
  }
  int link(const char* from, const char* to) {
    if (!log->links) {
      errno = std::filesystem::exists(from) ? EPERM : ENOENT;
      return -1;
    }
    const int r = real.link(from, to);
    if (r == 0) {
      const int inode = log->names[name_of(from)];
      log->names[name_of(to)] = inode;
      log->operations.push_back({.kind = operation::name, .inode = inode, .to = name_of(to)});
    }
    return r;
  }
  int remove(const char* path) {
    const int r = real.remove(path);
    if (r == 0) {
      log->names.erase(name_of(path));
      log->operations.push_back({.kind = operation::unname, .to = name_of(path)});
    }
    return r;
  }
  int open_folder(const char* path) { return log->folder = real.open_folder(path); }
};

using folder_state = std::map<std::string, std::string>;  // content by name

/// What may be on the disk of one file: what was synced, and any choice among the blocks written
/// since. With more than `most` blocks only the telling choices: none, all, each prefix, each block
/// alone missing.
inline std::vector<std::string> file_states(const std::string& synced, const std::string& now) {
  constexpr std::size_t block = 512, most = 6;
  const std::size_t first = synced.size(), blocks = (now.size() - first + block - 1) / block;
  std::vector<std::string> states;
  const auto add = [&](auto&& survives) {
    std::string s = synced;
    for (std::size_t b = 0; b < blocks; ++b) {
      if (!survives(b)) continue;
      s.resize(std::max(s.size(), first + b * block), '\0');
      s += now.substr(first + b * block, block);
    }
    states.push_back(std::move(s));
  };
  if (blocks <= most) {
    for (std::size_t set = 0; set < std::size_t(1) << blocks; ++set)
      add([&](std::size_t b) { return set >> b & 1; });
  } else {
    for (std::size_t n = 0; n <= blocks; ++n) add([&](std::size_t b) { return b < n; });
    for (std::size_t n = 0; n < blocks; ++n) add([&](std::size_t b) { return b != n; });
  }
  return states;
}

/// check(state, acknowledged saves) for every state of the folder after a cut at any moment,
/// limited to the names asked for. Returns how many there were.
template <class F>
int for_power_cuts(const record& log, const std::vector<std::string>& asked, F&& check) {
  int states = 0;
  for (std::size_t cut = 0; cut <= log.operations.size(); ++cut) {
    std::map<std::string, int> durable = log.started;
    std::vector<std::string> synced = log.first, now = log.first;
    synced.resize(log.contents.size());
    now.resize(log.contents.size());
    std::vector<operation> pending;
    int acknowledged = 0;
    const auto apply = [](std::map<std::string, int>& names, const operation& op) {
      if (op.kind == operation::unname) names.erase(op.to);
      if (op.kind != operation::name) return;
      if (!op.from.empty()) names.erase(op.from);
      names[op.to] = op.inode;
    };
    for (std::size_t i = 0; i < cut; ++i) {
      const auto& op = log.operations[i];
      if (op.kind == operation::write) now[std::size_t(op.inode)] += op.bytes;
      if (op.kind == operation::sync) synced[std::size_t(op.inode)] = now[std::size_t(op.inode)];
      if (op.kind == operation::acknowledge) ++acknowledged;
      if (op.kind == operation::name || op.kind == operation::unname) pending.push_back(op);
      if (op.kind == operation::sync_folder) {
        for (const auto& p : pending) apply(durable, p);
        pending.clear();
      }
    }
    for (std::size_t set = 0; set < std::size_t(1) << pending.size(); ++set) {
      auto names = durable;
      for (std::size_t p = 0; p < pending.size(); ++p)
        if (set >> p & 1) apply(names, pending[p]);
      std::vector<folder_state> folders(1);
      for (const auto& name : asked) {
        if (!names.count(name)) continue;
        const auto inode = std::size_t(names[name]);
        std::vector<folder_state> more;
        for (const auto& content : file_states(synced[inode], now[inode]))
          for (auto folder : folders) {
            folder[name] = content;
            more.push_back(std::move(folder));
          }
        folders = std::move(more);
      }
      for (const auto& folder : folders) {
        ++states;
        check(folder, acknowledged);
      }
    }
  }
  return states;
}

}  // namespace faults
