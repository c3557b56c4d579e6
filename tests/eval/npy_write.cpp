#include "../examples/npy_write.hpp"

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("an .npy file has the header numpy expects, then the numbers", "[eval][npy_write]") {
  const temporary_folder scratch;
  const std::vector<float> values{1, 2.5f, -3, 4, 5, 6};
  sp::write_npy(scratch / "a.npy", values, {2, 1, 3});
  const std::string file = file_bytes(scratch / "a.npy");

  REQUIRE(file.size() == 128 + sizeof(float) * values.size());
  CHECK(file.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
  CHECK(int(static_cast<unsigned char>(file[8])) + 256 * file[9] == 118);
  CHECK(file.substr(10, 62) == "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 3), }");
  CHECK(file[127] == '\n');
  CHECK(std::memcmp(file.data() + 128, values.data(), sizeof(float) * values.size()) == 0);
}

TEST_CASE("the shape of a vector ends in a comma, and every header fills whole lines of 64",
          "[eval][npy_write]") {
  CHECK(sp::npy_header({7}).find("(7, )") != std::string::npos);
  for (const auto& shape : {std::vector<sp::index>{1}, {1000000, 1000000}, {3, 224, 224, 100000}})
    CHECK(sp::npy_header(shape).size() % 64 == 0);
}

TEST_CASE("an .npy file that cannot be written is a write_error", "[eval][npy_write]") {
  const std::vector<float> one{1};
  CHECK_THROWS_AS(sp::write_npy("/proc/a.npy", one, {1}), sp::write_error);
}
