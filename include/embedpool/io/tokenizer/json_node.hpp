#pragma once
#include <stdexcept>
#include <string>

#include "embedpool/io/json.hpp"

namespace embedpool::io::tokenizing {

/// A JSON object of a tokenizer file that also walks arrays and knows its own place ("pre_tokenizer.pretokenizers[1]").
class JsonNode : public JsonObject {
 public:
  JsonNode(const Json& json, const std::string& file, const std::string& where = "")
      : JsonObject(json, file, where), where_(where) {}

  std::string place(std::string_view key) const { return (where_.empty() ? "" : where_ + ".") + std::string(key); }
  JsonNode object(std::string_view key) const { return {at(key), file(), place(key)}; }
  std::string type() const { return string("type"); }

  const Json& array(std::string_view key) const {
    if (!at(key).is_array()) fail(key, "must be an array");
    return at(key);
  }
  /// Calls each(JsonNode) for the objects of an array.
  template <class Each>
  void for_each(std::string_view key, Each each) const {
    std::size_t i = 0;
    for (const Json& element : array(key)) each(JsonNode(element, file(), place(key) + "[" + std::to_string(i++) + "]"));
  }
  /// Runs make() and says where in the file its std::invalid_argument came from.
  template <class Make>
  auto made_at(std::string_view key, Make make) const {
    try {
      return make();
    } catch (const std::invalid_argument& error) {
      fail(key, error.what());
    }
  }
  [[noreturn]] void refuse(std::string_view what) const { fail("type", std::string(what) + " " + type() + " is not supported"); }

 private:
  std::string where_;
};

/// Ids far beyond the number of tokens are the mark of a corrupt file; holes of any sane size are allowed.
constexpr Index largest_id(Index tokens) noexcept { return 16 * tokens + 65536; }

}  // namespace embedpool::io::tokenizing
