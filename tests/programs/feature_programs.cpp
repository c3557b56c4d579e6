// The programs that look at features: nearest_patches, patch_features, knn.
#include <selfpatch/data/scenes.hpp>
#include <selfpatch/io/safetensors.hpp>

#include "../examples/png_write.hpp"
#include "testing.hpp"

#include <sys/wait.h>

namespace fs = std::filesystem;
namespace sp = selfpatch;

namespace {

struct ended {
  int status = -1;
  std::string out, err;
};

ended run(const std::string& name, const std::string& arguments) {
  const temporary_folder scratch;
  const std::string command = program(name).string() + " " + arguments + " --threads 2 >" +
                              (scratch / "out").string() + " 2>" + (scratch / "err").string();
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, file_bytes(scratch / "out"),
          file_bytes(scratch / "err")};
}

void write_png(const fs::path& to, const sp::image& p) {
  fs::create_directories(to.parent_path());
  const auto png = sp::encode_png(p);
  write_bytes(to, std::string(reinterpret_cast<const char*>(png.data()), png.size()));
}

/// Scene `number` as picture and mask, both files.
void write_scene(const temporary_folder& in, const std::string& name, sp::index number) {
  const sp::scene s = sp::make_scene(5, number);
  sp::image mask(96, 96, 1);
  mask.pixels = s.instances;
  write_png(in / ("images/" + name + ".png"), s.picture);
  write_png(in / ("labels/" + name + ".png"), mask);
}

const std::string untrained = " --weights untrained:vit_nano8:0";

std::vector<float> values(const sp::safetensors_file& file, const std::string& name) {
  std::vector<float> all(std::size_t(file.at(name).size()));
  file.read_into(file.at(name), std::span<float>(all));
  return all;
}

}  // namespace

TEST_CASE("nearest_patches measures scenes and writes a page that stands alone",
          "[programs][nearest_patches]") {
  const temporary_folder scratch;
  const std::string page = (scratch / "page.html").string();
  const auto ended = run("nearest_patches", "scenes:30:5" + untrained +
                                                " --against untrained:vit_nano8:1 --out " + page);
  REQUIRE(ended.status == 0);
  double pictures = 0, share = 0, boundary = 0, auc = 0, chance = 0, ceiling = 0;
  const auto at = ended.out.rfind("neighbors: ");
  REQUIRE(at != std::string::npos);
  REQUIRE(
      std::sscanf(ended.out.c_str() + at,
                  "neighbors: pictures %lf share %lf boundary %lf auc %lf chance %lf ceiling %lf",
                  &pictures, &share, &boundary, &auc, &chance, &ceiling) == 6);
  CHECK(ended.out.starts_with("against: pictures 30 share 0."));
  CHECK(pictures == 30);
  CHECK(auc == Approx(0.71).margin(0.06));  // what untrained networks have on scenes
  CHECK((chance < boundary && boundary < ceiling && boundary < share));
  CHECK(ended.err.find("floor, mean color: pictures 30") != std::string::npos);

  const std::string html = file_bytes(page);
  CHECK(html.find("The neighbors chosen") != std::string::npos);
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.size() < 5'000'000);
}

TEST_CASE("nearest_patches finds the same with masks in files", "[programs][nearest_patches]") {
  const temporary_folder scratch;
  for (sp::index i = 0; i < 3; ++i) write_scene(scratch, "deep/s" + std::to_string(i), i);
  const std::string out = " --out " + (scratch / "page.html").string();
  const auto of_files = run("nearest_patches", (scratch / "images").string() + " --labels " +
                                                   (scratch / "labels").string() + untrained + out);
  const auto of_scenes = run("nearest_patches", "scenes:3:5" + untrained + out);
  REQUIRE(of_files.status == 0);
  CHECK(of_files.out == of_scenes.out);

  fs::remove(scratch / "labels/deep/s1.png");
  const auto missing = run("nearest_patches", (scratch / "images").string() + " --labels " +
                                                  (scratch / "labels").string() + untrained + out);
  CHECK(missing.status == 2);
  CHECK(missing.err.find("deep/s1.png") != std::string::npos);
}

TEST_CASE("nearest_patches draws pictures without masks and measures nothing",
          "[programs][nearest_patches]") {
  const temporary_folder scratch;
  write_scene(scratch, "a", 1);
  const auto ended =
      run("nearest_patches", (scratch / "images/a.png").string() + untrained +
                                 " --border torus --out " + (scratch / "p.html").string());
  CHECK(ended.status == 0);
  CHECK(ended.out.empty());
  CHECK(fs::exists(scratch / "p.html"));
}

TEST_CASE("nearest_patches refuses what makes no sense", "[programs][nearest_patches]") {
  const temporary_folder scratch;
  const std::string out = " --out " + (scratch / "p.html").string();
  CHECK(run("nearest_patches", "scenes:2" + untrained + " --k 9" + out).status == 2);
  CHECK(run("nearest_patches", "scenes:2" + untrained + " --size 4x4" + out).status == 2);
  CHECK(run("nearest_patches", "scenes:2 --weights " + (scratch / "none").string() + out).status ==
        2);
  CHECK(run("nearest_patches", "nothing" + untrained + out).status == 2);
  CHECK(run("nearest_patches", "scenes:2" + untrained + " --out /proc/p.html").status == 73);
  CHECK(run("nearest_patches", "--help").status == 0);
}

TEST_CASE("patch_features writes one tensor where all grids are equal, else one per picture",
          "[programs][patch_features]") {
  const temporary_folder scratch;
  const std::string file = (scratch / "f.safetensors").string();
  REQUIRE(run("patch_features", "scenes:3:5" + untrained + " --out " + file).status == 0);
  {
    const sp::safetensors_file f(file);
    CHECK(f.at("patches").shape == std::vector<sp::index>{3, 12, 12, 128});
    CHECK(f.at("image").shape == std::vector<sp::index>{3, 128});
    CHECK(f.metadata().at("files") == "[\"scenes:3:5[0]\", \"scenes:3:5[1]\", \"scenes:3:5[2]\"]");
    CHECK(f.metadata().at("norm") == "raw");
    CHECK(f.metadata().at("architecture") == "vit_nano8");
    // Without a class token the image is the mean of its patches.
    const auto patches = values(f, "patches"), image = values(f, "image");
    double mean = 0;
    for (std::size_t i = 0; i < 144; ++i) mean += patches[(144 + i) * 128 + 7] / 144;
    CHECK(image[128 + 7] == Approx(mean).margin(1e-5));
  }
  write_png(scratch / "wide.png", sp::make_scene(1, 1, {.size = 160}).picture);
  REQUIRE(run("patch_features", "scenes:1:5 " + (scratch / "wide.png").string() + untrained +
                                    " --layers 2 --out " + file)
              .status == 0);
  const sp::safetensors_file f(file);
  CHECK(f.at("patches.0").shape == std::vector<sp::index>{12, 12, 256});
  CHECK(f.at("patches.1").shape == std::vector<sp::index>{20, 20, 256});
  CHECK(f.find("patches") == nullptr);
}

TEST_CASE("features do not depend on what is computed beside them", "[programs][patch_features]") {
  const temporary_folder scratch;
  const std::string all = (scratch / "all").string(), one = (scratch / "one").string();
  write_scene(scratch, "a", 0);
  REQUIRE(
      run("patch_features", "scenes:4:5" + untrained + " --out " + all + ".safetensors").status ==
      0);
  REQUIRE(run("patch_features", (scratch / "images/a.png").string() + untrained +
                                    " --batch 1 --out " + one + ".safetensors")
              .status == 0);
  const auto of_all = values(sp::safetensors_file(all + ".safetensors"), "patches");
  const auto of_one = values(sp::safetensors_file(one + ".safetensors"), "patches");
  CHECK(std::equal(of_one.begin(), of_one.end(), of_all.begin()));
}

TEST_CASE("patch_features writes numpy files and pictures of components into folders",
          "[programs][patch_features]") {
  const temporary_folder scratch;
  REQUIRE(run("patch_features", "scenes:2:5" + untrained + " --out " + (scratch / "npy").string() +
                                    " --pca " + (scratch / "pca").string())
              .status == 0);
  CHECK(file_bytes(scratch / "npy/patches.npy").find("(2, 12, 12, 128)") != std::string::npos);
  CHECK(file_bytes(scratch / "npy/image.npy").find("(2, 128)") != std::string::npos);
  CHECK(file_bytes(scratch / "npy/about.json").find("\"norm\": \"raw\"") != std::string::npos);
  std::size_t pictures = 0;
  for (const auto& entry : fs::directory_iterator(scratch / "pca")) {
    CHECK(file_bytes(entry.path()).substr(16, 8) ==
          std::string("\0\0\0\x60\0\0\0\x60", 8));  // 96 x 96
    ++pictures;
  }
  CHECK(pictures == 2);
}

TEST_CASE("patch_features refuses what the backbone has not", "[programs][patch_features]") {
  const temporary_folder scratch;
  const std::string out = " --out " + (scratch / "f.safetensors").string();
  CHECK(run("patch_features", "scenes:1" + untrained + " --layers 5" + out).status == 2);
  CHECK(run("patch_features", "scenes:1" + untrained + " --image class" + out).status == 2);
  CHECK(run("patch_features", "scenes:1" + untrained + " --norm final" + out).status == 2);
  CHECK(run("patch_features", "scenes:1" + untrained + " --out x.npy").status == 2);
  CHECK(run("patch_features", "scenes:1" + untrained + " --out /proc/f.safetensors").status == 73);
  CHECK(!fs::exists(scratch / "f.safetensors"));
}

TEST_CASE("knn classifies by class folders and prints a line per k", "[programs][knn]") {
  const temporary_folder scratch;
  // Classes that a network must tell apart however it was made: dark and light pictures.
  for (int i = 0; i < 6; ++i)
    for (const char* half : {"train", "val"}) {
      sp::image dark = sp::make_scene(half[0], i).picture, light = dark;
      for (auto& v : dark.pixels) v = std::uint8_t(v / 8);
      for (auto& v : light.pixels) v = std::uint8_t(223 + v / 8);
      const std::string name = "/" + std::to_string(i) + ".png";
      write_png(scratch / (half + std::string("/dark") + name), dark);
      write_png(scratch / (half + std::string("/light") + name), light);
    }
  const auto ended = run("knn", scratch.path().string() + untrained + " --size 48 --k 1,5");
  CHECK(ended.status == 0);
  CHECK(ended.out == "knn: k=1 top1 1.0000\nknn: k=5 top1 1.0000\n");
  CHECK(ended.err.find("floor, thumbnails") != std::string::npos);

  fs::rename(scratch / "val/dark", scratch / "val/dusk");
  const auto unknown = run("knn", scratch.path().string() + untrained + " --size 48");
  CHECK(unknown.status == 2);
  CHECK(unknown.err.find("dusk") != std::string::npos);
  CHECK(run("knn", (scratch / "train").string() + untrained).status == 2);
}
