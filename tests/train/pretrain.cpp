#include "run.hpp"

namespace {

using run = sp::pretraining<mini_network<>>;

std::vector<float> final_weights(int threads, const sp::recipe& r) {
  run whole(mini_pictures(), r, {.threads = threads});
  whole.train([](const auto&) {});
  return weights_of(whole.state());
}

}  // namespace

TEST_CASE("a run has the same bits for 1, 2, 3 and 4 threads", "[train][pretrain][parallel]") {
  const auto one = final_weights(1, mini_recipe(20));
  for (int threads : {2, 3, 4}) CHECK(final_weights(threads, mini_recipe(20)) == one);
}

TEST_CASE("a run stopped at any step and resumed has the same bits", "[train][pretrain]") {
  const sp::recipe r = mini_recipe(30);
  const auto whole = final_weights(2, r);
  for (sp::index at = 1; at < 30; ++at) {
    const temporary_folder folder;
    const auto out = folder.path() / "run";
    {
      std::atomic<int> stop{0};
      run first(mini_pictures(), r, {.out = out, .threads = 1, .stop = &stop});
      const auto how = first.train([&](const sp::progress& p) { stop = p.step == at; });
      REQUIRE(how == sp::outcome::stopped);
      REQUIRE(first.at().step == at);
    }
    run rest(mini_pictures(), r, {.out = out, .threads = 2});
    REQUIRE(rest.resumed());
    REQUIRE(rest.at().step == at);
    REQUIRE(rest.train([](const auto&) {}) == sp::outcome::finished);
    CHECK(weights_of(rest.state()) == whole);
  }
}

TEST_CASE("a finished run resumed does nothing", "[train][pretrain]") {
  const temporary_folder folder;
  const auto out = folder.path() / "run";
  run(mini_pictures(), mini_recipe(3), {.out = out}).train([](const auto&) {});
  const auto bytes = file_bytes(out / "checkpoint.safetensors");
  run again(mini_pictures(), mini_recipe(3), {.out = out});
  CHECK(again.train([](const auto&) { FAIL("a step was made"); }) == sp::outcome::already_finished);
  CHECK(file_bytes(out / "checkpoint.safetensors") == bytes);
}

TEST_CASE("a run of another configuration is refused by the name of the option",
          "[train][pretrain]") {
  const temporary_folder folder;
  const auto out = folder.path() / "run";
  run(mini_pictures(), mini_recipe(2), {.out = out}).train([](const auto&) {});
  sp::recipe other = mini_recipe(2);
  other.weight_decay = 0.05;
  CHECK_THROWS_WITH(run(mini_pictures(), other, {.out = out}),
                    contains("--weight-decay") && contains("0.05"));
}

TEST_CASE("a foreign folder is refused and left as it is", "[train][pretrain]") {
  const temporary_folder folder;
  write_bytes(folder.path() / "photo.jpg", "not ours");
  CHECK_THROWS_WITH(run(mini_pictures(), mini_recipe(2), {.out = folder.path()}),
                    contains("other files"));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("the log of a run that crashed and was resumed has every step once",
          "[train][pretrain]") {
  const temporary_folder folder;
  const auto out = folder.path() / "run";
  struct crash {};
  try {  // three steps after the checkpoint
    run first(mini_pictures(), mini_recipe(12), {.out = out, .log_every = 1, .save_every = 5});
    first.train([](const sp::progress& p) {
      if (p.step == 8) throw crash();
    });
    FAIL("it did not crash");
  } catch (const crash&) {
  }
  run(mini_pictures(), mini_recipe(12), {.out = out, .log_every = 1}).train([](const auto&) {});
  const auto steps = sp::json_log(out / "log.jsonl").series("step");
  REQUIRE(steps.size() == 12);
  for (std::size_t i = 0; i < 12; ++i) CHECK(steps[i] == double(i + 1));
}

TEST_CASE("equal seeds give equal weight files, others do not", "[train][pretrain]") {
  const temporary_folder folder;
  const auto bytes = [&](const char* name, std::uint64_t seed) {
    sp::recipe r = mini_recipe(3);
    r.seed = seed;
    run(mini_pictures(), r, {.out = folder.path() / name}).train([](const auto&) {});
    return file_bytes(folder.path() / name / "backbone.safetensors");
  };
  const auto a = bytes("a", 1);
  CHECK(bytes("b", 1) == a);
  CHECK(bytes("c", 2) != a);
}

TEST_CASE("a run starts from given weights", "[train][pretrain]") {
  const temporary_folder folder;
  sp::recipe r = mini_recipe(2);
  run(mini_pictures(), r, {.out = folder.path() / "a"}).train([](const auto&) {});
  r.init = (folder.path() / "a" / "backbone.safetensors").string();
  run next(mini_pictures(), r, {});
  sp::vit<mini> saved(2, 4);
  sp::load_backbone(saved, sp::safetensors_file(r.init));
  CHECK(largest_difference(next.state().student.backbone.pos_embed.value, saved.pos_embed.value) ==
        0);
  CHECK(largest_difference(next.network().backbone.blocks[1].qkv.weight.value,
                           saved.blocks[1].qkv.weight.value) == 0);
}
