// What pretrain does where something is wrong: with what it is told, with what it reads, with where
// it writes. A refusal is status 2 (73 where nothing can be written), one line that names the
// thing, and nothing written.
#include <selfpatch/data/scenes.hpp>
#include <selfpatch/io/checkpoint.hpp>

#include "../examples/png_write.hpp"
#include "testing.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <map>
#include <thread>
#include <vector>

namespace fs = std::filesystem;
namespace sp = selfpatch;

namespace {

using words = std::vector<std::string>;

struct ended {
  int status = -1;  ///< -1: not by itself
  std::string out, err;
};

/// pretrain at work, with a limit on the length of the files it writes where one is given.
class running {
 public:
  explicit running(const words& arguments, rlim_t longest_file = RLIM_INFINITY) {
    words all{program("pretrain").string()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& a : all) argv.push_back(a.data());
    argv.push_back(nullptr);
    const std::string out = (scratch_ / "out").string(), err = (scratch_ / "err").string();
    process_ = fork();
    if (process_ == 0) become(argv.data(), out.c_str(), err.c_str(), longest_file);
  }
  running(const running&) = delete;
  running& operator=(const running&) = delete;
  ~running() {
    if (process_ <= 0) return;
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }

  void send(int signal) const { kill(process_, signal); }

  /// Waits until the run has logged a step; false where it ends before that, or none comes within a
  /// minute.
  bool trains(const fs::path& run) const {
    for (int i = 0; i < 12000; ++i) {
      if (file_bytes(run / "log.jsonl").find("\n{\"step\"") != std::string::npos) return true;
      siginfo_t over{};
      if (waitid(P_PID, id_t(process_), &over, WEXITED | WNOHANG | WNOWAIT) == 0 && over.si_pid)
        return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  ended wait() {
    int status = -1;
    waitpid(process_, &status, 0);
    process_ = -1;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, file_bytes(scratch_ / "out"),
            file_bytes(scratch_ / "err")};
  }

 private:
  [[noreturn]] static void become(char** argv, const char* out, const char* err,
                                  rlim_t longest_file) {
    dup2(open(out, O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
    dup2(open(err, O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
    const rlimit limit{longest_file, RLIM_INFINITY};
    if (longest_file != RLIM_INFINITY) {
      setrlimit(RLIMIT_FSIZE, &limit);
      std::signal(SIGXFSZ,
                  SIG_IGN);  // writes fail with EFBIG, as they do with ENOSPC on a full disk
    }
    execv(argv[0], argv);
    _exit(126);
  }

  temporary_folder scratch_;
  pid_t process_ = -1;
};

ended run(const words& arguments) { return running(arguments).wait(); }

words operator+(words a, const words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Every option of a short run but those in `without`, so that a case can give its own.
words short_run(const std::string& data, const words& without = {}) {
  const std::vector<std::pair<std::string, std::string>> options{
      {"--preset", "demo"}, {"--arch", "vit_nano8"},     {"--batch", "4"},
      {"--steps", "3"},     {"--local-crops", "2"},      {"--global-size", "48"},
      {"--out-dim", "64"},  {"--patch-out-dim", "64"},   {"--head-hidden", "32"},
      {"--depth", "1"},     {"--head-bottleneck", "16"}, {"--border", "torus"},
      {"--log-every", "1"}, {"--threads", "2"}};
  words all{data, "--quiet"};
  for (const auto& [name, value] : options)
    if (std::find(without.begin(), without.end(), name) == without.end())
      all.insert(all.end(), {name, value});
  return all;
}

/// Every file and folder below, with the bytes of the files.
std::map<std::string, std::string> everything(const fs::path& root) {
  std::map<std::string, std::string> all;
  for (const auto& e : fs::recursive_directory_iterator(root)) {
    std::string& bytes = all[e.path().string()];
    if (!e.is_regular_file()) continue;
    bytes.resize(e.file_size());
    std::ifstream(e.path(), std::ios::binary).read(bytes.data(), std::streamsize(bytes.size()));
  }
  return all;
}

std::ptrdiff_t lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

/// Runs pretrain; it must refuse in one line that names `named`, and leave `scratch` as it was.
void refused(const temporary_folder& scratch, const words& arguments, const std::string& named,
             int status = 2) {
  const auto before = everything(scratch.path());
  const ended made = run(arguments);
  INFO(named << ", said: " << made.err);
  CHECK(made.status == status);
  CHECK(made.out.empty());
  CHECK(lines(made.err) == 1);
  CHECK_THAT(made.err, Catch::Matchers::StartsWith("pretrain: ") && contains(named));
  CHECK((everything(scratch.path()) == before));
}

void write_pictures(const fs::path& folder, int count) {
  fs::create_directories(folder);
  for (int i = 0; i < count; ++i) {
    const auto png = sp::encode_png(sp::make_scene(3, i).picture);
    write_bytes(folder / ("scene" + std::to_string(100 + i) + ".png"),
                std::string(reinterpret_cast<const char*>(png.data()), png.size()));
  }
}

sp::index saved_step(const fs::path& run) {
  const auto c = sp::load_checkpoint(run);
  return std::stol(c.metadata.at("step"));
}

/// A run of 60 steps that was sent a signal in its first ones.
ended stopped_run(const words& options, const fs::path& out, int signal) {
  running one(options + words{"--out", out.string()});
  REQUIRE(one.trains(out));
  one.send(signal);
  return one.wait();
}

/// A run of three steps that is finished, with both generations; made once, cases take copies.
struct finished_run {
  temporary_folder kept;
  finished_run() {
    write_pictures(kept / "pictures", 16);
    const ended made = run(options() + words{"--out", (kept / "run").string()});
    INFO(made.err);
    REQUIRE(made.status == 0);
  }
  words options(const words& without = {}) const {
    return short_run((kept / "pictures").string(), without) + words{"--save-every", "1"};
  }
  fs::path copied_to(const temporary_folder& scratch) const {
    fs::copy(kept / "run", scratch / "run", fs::copy_options::recursive);
    return scratch / "run";
  }
};

const finished_run& finished() {
  static const finished_run one;
  return one;
}

/// Replaces one tensor of the checkpoint by zeros of another shape, hashes and all.
void reshape_tensor(const fs::path& run, const std::string& name, std::vector<sp::index> shape) {
  const auto c = sp::load_checkpoint(run);
  std::vector<sp::named_view> views;
  sp::index size = 1;
  for (const sp::index n : shape) size *= n;
  const std::vector<float> zeros(std::size_t(size), 0.f);
  for (const auto& t : c.file.tensors())
    views.push_back(t.name == name
                        ? sp::view_of(name, std::span<const float>(zeros), shape)
                        : sp::named_view{t.name, t.dtype, t.shape, t.bytes.data(), t.bytes.size()});
  sp::save_checkpoint(run, std::span<const sp::named_view>(views), c.metadata);
}

}  // namespace

TEST_CASE("pretrain refuses data that are not there or hold no pictures", "[programs][bad_input]") {
  const temporary_folder scratch;
  const words out{"--out", (scratch / "run").string()};
  const auto at = [&](const char* name) { return (scratch / name).string(); };
  fs::create_directory(at("empty"));
  fs::create_directory(at("texts"));
  write_bytes(at("texts/notes.md"), "no picture");
  write_bytes(at("notes.md"), "no picture");
  write_bytes(at("list.txt"), "");
  write_bytes(at("shard.tar"), "too short for a shard");

  refused(scratch, short_run(at("missing")) + out, "missing");
  refused(scratch, short_run(at("empty")) + out, "empty");
  refused(scratch, short_run(at("texts")) + out, "texts");
  refused(scratch, short_run(at("notes.md")) + out, "notes.md");
  refused(scratch, short_run(at("list.txt")) + out, "list.txt");
  refused(scratch, short_run(at("shard.tar")) + out, "shard.tar");
  refused(scratch, short_run("scenes:0") + out, "scenes");
  refused(scratch, short_run("scenes:many") + out, "scenes:many");
  refused(scratch, {"--quiet", "--out", at("run")}, "data");
}

TEST_CASE("pretrain refuses numbers that make no sense, naming the option",
          "[programs][bad_input]") {
  const temporary_folder scratch;
  const auto with = [&](const std::string& option, const words& value, const std::string& named) {
    refused(scratch,
            short_run("scenes:16", {option}) + words{option} + value +
                words{"--out", (scratch / "run").string()},
            named);
  };
  with("--batch", {"0"}, "--batch");
  with("--batch", {"-4"}, "--batch");
  with("--batch", {"four"}, "--batch");
  with("--batch", {"17"}, "batch is larger than the data");
  with("--accumulate", {"3"}, "--accumulate");
  with("--steps", {"-1"}, "--steps");
  with("--epochs", {"0"}, "--epochs");
  with("--global-size", {"50"}, "--global-size");
  with("--local-size", {"20"}, "--local-size");
  with("--k", {"9"}, "--k");
  with("--k", {"0"}, "--k");
  with("--radius", {"3"}, "--radius");
  with("--drop-path", {"1"}, "--drop-path");
  with("--global-scale", {"0.5", "0.2"}, "--global-scale");
  with("--out-dim", {"0"}, "--out-dim");
  with("--log-every", {"0"}, "--log-every");
  with("--epochs", {"1e300"}, "--epochs");
  for (const char* option :
       {"--lr", "--min-lr", "--warmup-epochs", "--weight-decay", "--weight-decay-end",
        "--patch-weight", "--clip", "--freeze-last-layer", "--patch-teacher-temp", "--momentum-end",
        "--minutes", "--max-bad"})
    for (const char* value : {"-1", "nan"}) with(option, {value}, option);
  for (const char* option :
       {"--table", "--cache-side", "--save-every", "--max-pixels", "--threads"})
    with(option, {"-1"}, option);
}

TEST_CASE("pretrain takes two numbers where an option has two", "[programs][bad_input]") {
  const ended made = run(short_run("scenes:16") + words{"--global-scale", "0.3", "0.9", "--plan"});
  INFO(made.err);
  CHECK(made.status == 0);
}

TEST_CASE("a preset in a file of options counts as one on the command line, or is refused",
          "[programs][bad_input]") {
  const temporary_folder scratch;
  write_bytes(scratch / "a.toml", "preset = \"demo\"\n");
  const ended made = run({"scenes:16", "--plan", "--config", (scratch / "a.toml").string()});
  INFO(made.out << made.err);
  CHECK((made.status == 2 || made.out.find("vit_nano8") != std::string::npos));
}

TEST_CASE("pretrain refuses words it does not know, naming them", "[programs][bad_input]") {
  const temporary_folder scratch;
  const words out{"--out", (scratch / "run").string()};
  const auto with = [&](const std::string& option, const std::string& value,
                        const std::string& named) {
    refused(scratch, short_run("scenes:16", {option}) + words{option, value} + out, named);
  };
  refused(scratch, short_run("scenes:16") + out + words{"--botch"}, "--botch");
  refused(scratch, short_run("scenes:16") + out + words{"--batch", "8"}, "--batch");
  refused(scratch, short_run("scenes:16"), "--out");
  with("--preset", "holidays", "holidays");
  with("--arch", "vit_huge3", "vit_huge3");
  refused(scratch,
          short_run("scenes:16", {"--arch", "--global-size"}) + out +
              words{"--arch", "dinov2_small14", "--global-size", "56", "--local-size", "28"},
          "dinov2_small14");
  with("--border", "sphere", "--border");
  with("--precision", "f8", "--precision");
  with("--device", "abacus", "--device");
  with("--config", (scratch / "missing.toml").string(), "missing.toml");
  write_bytes(scratch / "a.toml", "botch = 3\n");
  with("--config", (scratch / "a.toml").string(), "botch");
}

TEST_CASE("pretrain does not touch a folder of other files", "[programs][bad_input]") {
  const temporary_folder scratch;
  fs::create_directory(scratch / "mine");
  write_bytes(scratch / "mine/thesis.tex", "work of years");
  refused(scratch, short_run("scenes:16") + words{"--out", (scratch / "mine").string()}, "mine");
  const std::string file = (scratch / "mine/thesis.tex").string();
  refused(scratch, short_run("scenes:16") + words{"--out", file}, "thesis.tex");
}

TEST_CASE("an --out where nothing can be written is status 73", "[programs][bad_input]") {
  const temporary_folder scratch;
  write_bytes(scratch / "file", "");
  const std::string below = (scratch / "file/run").string();
  refused(scratch, short_run("scenes:16") + words{"--out", below}, below, 73);
  refused(scratch, short_run("scenes:16") + words{"--out", "/proc/selfpatch"}, "/proc/selfpatch",
          73);
}

TEST_CASE("pretrain refuses to start from a file that holds no weights for it",
          "[programs][bad_input]") {
  const temporary_folder scratch;
  const words out{"--out", (scratch / "run").string()};
  const auto from = [&](const fs::path& weights, const words& arch, const std::string& named) {
    refused(scratch,
            short_run("scenes:16", {"--arch"}) + arch + words{"--init", weights.string()} + out,
            named);
  };
  const words nano{"--arch", "vit_nano8"}, grey{"--arch", "vit_nano8_grey"};
  const std::string backbone = file_bytes(finished().kept / "run/backbone.safetensors");
  write_bytes(scratch / "text.safetensors", "These are no weights, whatever the file is called.");
  write_bytes(scratch / "short.safetensors", backbone.substr(0, backbone.size() / 2));
  write_bytes(scratch / "empty.safetensors", "");
  write_bytes(scratch / "nano.safetensors", backbone);
  from(scratch / "missing.safetensors", nano, "missing.safetensors");
  from(scratch / "text.safetensors", nano, "text.safetensors");
  from(scratch / "short.safetensors", nano, "short.safetensors");
  from(scratch / "empty.safetensors", nano, "empty.safetensors");
  from(scratch / "nano.safetensors", grey, "nano.safetensors");
}

TEST_CASE("a run is not resumed with another configuration", "[programs][bad_input]") {
  const temporary_folder scratch;
  const fs::path run = finished().copied_to(scratch);
  const auto with = [&](const std::string& option, const std::string& value) {
    refused(scratch, finished().options({option}) + words{option, value, "--out", run.string()},
            option);
  };
  with("--out-dim", "128");
  with("--lr", "0.01");
  with("--arch", "vit_nano8_grey");
  with("--method", "dino");
  with("--seed", "1");
  with("--steps", "5");
  with("--border", "clamped");

  write_pictures(scratch / "others", 15);
  refused(
      scratch,
      short_run((scratch / "others").string()) + words{"--save-every", "1", "--out", run.string()},
      "other pictures");
}

TEST_CASE("a checkpoint whose tensors have other shapes is refused", "[programs][bad_input]") {
  const std::vector<std::pair<std::string, std::vector<sp::index>>> others{
      {"center", {1, 1, 32}},
      {"student.backbone.blocks.0.norm1.weight", {64}},
      {"adamw.m.backbone.blocks.0.norm1.weight", {64}}};
  for (const auto& [name, shape] : others) {
    const temporary_folder scratch;
    const fs::path run = finished().copied_to(scratch);
    reshape_tensor(run, name, shape);
    refused(scratch, finished().options() + words{"--out", run.string()},
            name.substr(name.find("blocks") == name.npos ? 0 : name.find("blocks")));
  }
}

TEST_CASE("a run with both generations cut off is refused and kept", "[programs][bad_input]") {
  const temporary_folder scratch;
  const fs::path run = finished().copied_to(scratch);
  for (const auto& file : {sp::checkpoint_path(run), sp::previous_checkpoint_path(run)}) {
    REQUIRE(fs::exists(file));
    fs::resize_file(file, fs::file_size(file) / 2);
  }
  refused(scratch, finished().options() + words{"--out", run.string()}, "checkpoint.safetensors");
}

TEST_CASE("a run whose newest checkpoint is cut off goes on from the one before",
          "[programs][bad_input]") {
  const temporary_folder scratch;
  const fs::path out = finished().copied_to(scratch);
  const auto newest = sp::checkpoint_path(out);
  const std::string before = file_bytes(out / "backbone.safetensors");
  fs::resize_file(newest, fs::file_size(newest) / 2);
  fs::remove(out / "backbone.safetensors");
  const ended made = run(finished().options() + words{"--out", out.string()});
  CHECK(made.status == 0);
  CHECK_THAT(made.err, contains("going back to") && contains("checkpoint.previous.safetensors"));
  CHECK(saved_step(out) == 3);
  CHECK((file_bytes(out / "backbone.safetensors") == before));
}

TEST_CASE("a finished run resumed changes nothing", "[programs][bad_input]") {
  const temporary_folder scratch;
  const fs::path out = finished().copied_to(scratch);
  const auto before = everything(scratch.path());
  const ended made = run(finished().options() + words{"--out", out.string()});
  CHECK(made.status == 0);
  CHECK((everything(scratch.path()) == before));
}

TEST_CASE("broken pictures are named, counted and skipped while they are few",
          "[programs][bad_input]") {
  const temporary_folder scratch;
  write_pictures(scratch / "photos", 11);
  const std::string whole = file_bytes(scratch / "photos/scene103.png");
  write_bytes(scratch / "photos/scene103.png", whole.substr(0, whole.size() / 2));
  write_bytes(scratch / "photos/letter.jpg", "Dear reader, this is no picture.");
  const words photos =
      short_run((scratch / "photos").string()) + words{"--out", (scratch / "run").string()};

  SECTION("few") {
    // Three steps of 4 of the 12: each is drawn.
    const ended made = run(photos + words{"--max-bad", "0.2"});
    INFO(made.err);
    CHECK(made.status == 0);
    CHECK_THAT(made.err, contains("scene103.png") && contains("letter.jpg") && contains("skipped"));
    CHECK_THAT(made.out, contains("2 unreadable"));
    CHECK(saved_step(scratch / "run") == 3);
  }
  SECTION("too many") {
    const ended made = run(photos + words{"--max-bad", "0"});
    INFO(made.err);
    CHECK(made.status == 2);
    CHECK_THAT(made.err,
               contains("--max-bad") && (contains("scene103.png") || contains("letter.jpg")));
  }
}

TEST_CASE("a run that is told to stop saves, says how, and goes on", "[programs][bad_input]") {
  const temporary_folder scratch;
  const fs::path out = scratch / "run";
  const words options =
      short_run((finished().kept / "pictures").string(), {"--steps"}) + words{"--steps", "60"};
  const auto [signal, status] =
      GENERATE(table<int, int>({{SIGTERM, 75}, {SIGINT, 130}, {SIGUSR1, 75}}));
  const ended stopped = stopped_run(options, out, signal);
  CHECK(stopped.status == status);
  CHECK_THAT(stopped.out, contains("stopped"));
  const sp::index step = saved_step(out);
  CHECK((step >= 1 && step < 60));
  if (signal != SIGTERM) return;
  const ended resumed = run(options + words{"--out", out.string()});
  CHECK(resumed.status == 0);
  CHECK(saved_step(out) == 60);
}

TEST_CASE("a full disk keeps the checkpoint, trains on, and ends with status 73",
          "[programs][bad_input]") {
  const temporary_folder scratch;
  const fs::path out = scratch / "run", saved = sp::checkpoint_path(out);
  words options =
      short_run((finished().kept / "pictures").string(), {"--steps"}) + words{"--steps", "60"};
  REQUIRE(stopped_run(options, out, SIGTERM).status == 75);
  options = options + words{"--out", out.string()};
  const std::string kept = file_bytes(saved);
  const sp::index step = saved_step(out);

  running cramped(options + words{"--save-every", "20"}, rlim_t(kept.size() / 2));
  const ended full = cramped.wait();
  INFO(full.err);
  CHECK(full.status == 73);
  CHECK_THAT(full.err, contains("checkpoint.safetensors"));
  CHECK((file_bytes(saved) == kept));
  CHECK(file_bytes(out / "log.jsonl").find("{\"step\":60,") != std::string::npos);
  for (const auto& e : fs::directory_iterator(out))
    CHECK(e.path().filename().string().find(".tmp") == std::string::npos);

  CHECK(run(options).status == 0);
  CHECK((step < 60 && saved_step(out) == 60));
}
