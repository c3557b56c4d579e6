// Any bytes as a log: refused with an error, or every line's numbers, texts and objects can be
// looked up.
#include <selfpatch/io/jsonl.hpp>

#include <cstdlib>

namespace sp = selfpatch;

namespace {

void look_at(const sp::json_line& line) {
  for (const auto& field : line.fields()) {
    const auto number = line.number(field.key);
    const auto text = line.text(field.key);
    const auto object = line.object(field.key);
    if (number.has_value() + text.has_value() + object.has_value() > 1) std::abort();
    if (object) look_at(*object);
    if (!text) continue;
    // Text survives being written.
    const std::string again = sp::json_record().add(field.key, *text).text();
    if (sp::json_line(again, "again", "line").text(field.key) != text) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const sp::json_log log(text, "fuzz");
    for (const auto& line : log.lines()) look_at(line);
    log.series("step");
  } catch (const sp::error& e) {
    if (std::string_view(e.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
