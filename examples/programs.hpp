// programs: what all programs share: options, and how they end.
//
//   int run(int argc, char** argv);                    // parses, works, returns a status
//   int main(int argc, char** argv) { return programs::guarded(argc, argv, run); }
//
// Results go to stdout, everything else to stderr. Status: 0 done, 1 a check failed, 2 bad usage or
// bad input, 70 a fault of ours, 71 out of memory, 73 cannot write.
#pragma once

#include <selfpatch/core/error.hpp>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>

extern const char selfpatch_version[];
extern const char selfpatch_commit[];

namespace programs {

namespace sp = selfpatch;

enum status {
  done = 0,
  check_failed = 1,
  bad_input = 2,
  fault = 70,
  no_memory = 71,
  cannot_write = 73
};

/// Options every program has.
struct common {
  int threads = 0;  ///< 0: one per processor
  std::uint64_t seed = 0;
  bool quiet = false;
  std::string device = "cpu";
};

inline std::string version_text() {
  return std::string("selfpatch ") + selfpatch_version + (*selfpatch_commit ? " " : "") +
         selfpatch_commit;
}

inline void common_options(CLI::App& app, common& c) {
  app.add_option("--threads", c.threads, "threads to compute with; 0: one per processor")
      ->capture_default_str();
  app.add_option("--seed", c.seed, "everything random follows from it")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_flag("--quiet", c.quiet, "nothing on stderr but warnings and errors");
  app.add_option("--device", c.device, "cpu, or cuda[:N]")->capture_default_str();
  app.set_version_flag("--version", version_text);
  app.set_config("--config", "", "options from a TOML file");
  app.allow_config_extras(CLI::config_extras_mode::error);
}

/// Parses; a status where the program is to end: 0 after --help and --version, 2 after a mistake.
inline std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);
    for (int i = 1; i < argc;
         ++i) {  // a word that is no option says more than what is missing without it
      const std::string word = argv[i], name = word.substr(0, word.find('='));
      if (name.size() > 2 && name.starts_with("--") && !app.get_option_no_throw(name))
        throw sp::error(sp::problem{.what = "unknown option " + name, .hint = "see --help"});
    }
    throw sp::error(sp::problem{.what = e.what(), .hint = "see --help"});
  }
}

/// Ends a program that was asked for a device it has not.
inline void only_cpu(const common& c) {
  if (c.device != "cpu")
    throw sp::error(sp::problem{.what = "--device",
                                .expected = "cpu",
                                .found = c.device,
                                .hint = "this build has no CUDA side"});
}

/// The command as it was given, quoted for a shell where needed.
inline std::string command_line(int argc, char** argv) {
  std::string all;
  for (int i = 0; i < argc; ++i) {
    const std::string a = argv[i];
    const bool plain =
        !a.empty() && a.find_first_of(" \t\n'\"$&|;<>()*?[]\\`!#~") == std::string::npos;
    std::string quoted = "'";
    for (char c : a) quoted += c == '\'' ? "'\\''" : std::string(1, c);
    all.append(i ? " " : "").append(plain ? a : quoted + "'");
  }
  return all;
}

/// "doctor" of "build/cpu/bin/doctor".
inline std::string program_name(const char* path) {
  const std::string_view whole = path ? path : "selfpatch";
  return std::string(whole.substr(whole.rfind('/') + 1));
}

/// Runs a program; exceptions become one line on stderr and a status.
inline int guarded(int argc, char** argv, int (*run)(int, char**)) {
  const std::string name = program_name(argc > 0 ? argv[0] : nullptr);
  const auto fail = [&](int status, const char* message) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), message);
    return status;
  };
  try {
    const int status = run(argc, argv);
    if (std::fflush(stdout) != 0) return fail(cannot_write, "cannot write the results to stdout");
    return status;
  } catch (const sp::write_error& e) {
    return fail(cannot_write, e.what());
  } catch (const sp::error& e) {
    return fail(bad_input, e.what());
  } catch (const std::bad_alloc&) {
    return fail(no_memory, "out of memory");
  } catch (const std::exception& e) {
    return fail(fault, e.what());
  }
}

}  // namespace programs
