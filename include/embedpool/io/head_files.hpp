#pragma once
#include <filesystem>
#include <set>
#include <string>

#include "embedpool/io/safetensors.hpp"
#include "embedpool/io/safetensors_writer.hpp"
#include "embedpool/io/tensor_values.hpp"
#include "embedpool/pooling/any_head.hpp"

namespace embedpool::io {

namespace detail {

inline constexpr Index most_head_units = Index(1) << 24;

/// One list of every head's options, for writing and reading alike: `option(key, value)` sees a number, a switch, or a
/// choice as a switch.
template <class Head, class Option>
void head_options(Head& head, Option&& option) {
  if constexpr (requires { head.count; }) option("count", head.count);
  if constexpr (requires { head.latents; }) option("latents", head.latents);
  if constexpr (requires { head.queries; }) option("queries", head.queries);
  if constexpr (requires { head.heads; }) option("heads", head.heads);
  if constexpr (requires { head.head_dim; }) option("head_dim", head.head_dim);
  if constexpr (requires { head.feed_forward; }) option("feed_forward", head.feed_forward);
  if constexpr (requires { head.normalise_keys; }) option("normalise_keys", head.normalise_keys);
  if constexpr (requires { head.layer_table; }) option("layer_table", head.layer_table);
  if constexpr (requires { head.zero_start; }) option("zero_start", head.zero_start);
  if constexpr (requires { head.residual == Residual::pooled; }) {
    bool pooled = head.residual == Residual::pooled;
    option("pooled_residual", pooled);
    if constexpr (!std::is_const_v<Head>) head.residual = pooled ? Residual::pooled : Residual::latents;
  }
  if constexpr (requires { std::remove_cvref_t<decltype(head.start)>::pooling; }) {
    using Start = std::remove_cvref_t<decltype(head.start)>;
    bool pooled = head.start == Start::pooling;
    option("pooled_residual", pooled);
    if constexpr (!std::is_const_v<Head>) head.start = pooled ? Start::pooling : Start::paper;
  }
}

/// A head with the same tensors as `head`, each as small as it can be: options of a hostile file reserve no memory.
template <class Head>
Head smallest_like(Head head) {
  const auto shrink = [](auto& own) {
    head_options(own, [](const char*, auto& value) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, Index>) value = std::min<Index>(value, 1);
    });
  };
  if constexpr (requires { head.variant(); })
    std::visit(shrink, head.variant());
  else
    shrink(head);
  return head;
}

/// Parameters with the head's tensors, for their names: of the library's heads none larger than it must be. A user's head
/// may have as many tensors as there are kinds of keys.
template <Real S, class Head>
typename Head::template Params<S> shapes_of(const Head& head, Index width, Index slots) {
  if constexpr (requires { head.variant(); }) return smallest_like(head).template init<S>(1, 1);
  else return head.template init<S>(width, slots);
}

/// Whether a tensor is a vector, in checkpoints and for weight decay, which leaves it alone: one row, and the name of a gain,
/// a bias or weights of a sum; a single latent is a matrix.
template <Real S>
bool is_vector(std::string_view name, const Matrix<S>& tensor) {
  return tensor.rows() == 1 && (name.ends_with("bias") || name.ends_with("norm.weight") || name.ends_with("norm_context.weight") ||
                                name == "scalars" || name == "gamma" || name == "v");
}

}  // namespace detail

/// The options of a head as JSON, for a saved configuration.
inline Json head_settings(const AnyHead& head) {
  Json settings = Json::object();
  std::visit([&](const auto& own) {
    detail::head_options(own, [&](const char* key, const auto& value) { settings[key] = value; });
  }, head.variant());
  return settings;
}

/// The head of a saved configuration. Options that are left out keep their defaults.
///
/// Errors  FileError naming the file and the option that is unknown or out of range
inline AnyHead head_from_settings(const std::string& type, const JsonObject& settings) {
  AnyHead head;
  try {
    head = AnyHead::named(type);
  } catch (const ShapeError& error) {
    throw FileError(settings.file(), "head", error.what());
  }
  std::set<std::string> known;
  std::visit([&](auto& own) {
    detail::head_options(own, [&](const char* key, auto& value) {
      known.insert(key);
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, bool>)
        value = settings.boolean_or(key, value);
      else
        value = settings.integer_or(key, value, 0, detail::most_head_units);
    });
  }, head.variant());
  for (const auto& [key, value] : settings.json().items())
    if (!known.contains(key)) settings.fail(key, "is no option of head " + type);
  return head;
}

/// Writes a head's parameters under their published names, whole or not at all.
template <class Head, class Params>
void write_head(const Head& head, Params& params, const std::filesystem::path& path) {
  SafetensorsWriter writer;
  if constexpr (requires { head.name(); }) writer.add_metadata("head", std::string(head.name()));
  Head::for_each(params, [&](const std::string& name, auto& tensor) { writer.add(name, tensor, detail::is_vector(name, tensor)); });
  writer.write(path);
}

/// Reads a head's parameters for keys of `width` values and `slots` kinds. Sizes that options leave to the file (latents,
/// rows of a layer table) are taken from it.
///
/// Errors  FileError for another head's file, a missing or unknown tensor, or shapes that do not fit
template <Real S, class Head>
typename Head::template Params<S> read_head(const Head& head, Index width, Index slots, const std::filesystem::path& path) {
  const auto file = SafetensorsFile::open(path);
  if constexpr (requires { head.name(); }) {
    const auto written = file.metadata().find("head");
    if (written != file.metadata().end() && written->second != head.name())
      throw FileError(file.name(), "__metadata__.head", "is '" + written->second.substr(0, 40) + "', must be '" +
                                                            std::string(head.name()) + "'");
  }
  auto params = detail::shapes_of<S>(head, width, slots);
  std::set<std::string> known;
  Head::for_each(params, [&](const std::string& name, Matrix<S>& tensor) {
    known.insert(name);
    tensor = matrix_of<S>(file.at(name));
  });
  for (const auto& [name, tensor] : file.tensors())
    if (!known.contains(name)) tensor.fail("is no parameter of this head");
  try {
    if constexpr (requires { head.check(params, width, slots); }) head.check(params, width, slots);
  } catch (const ShapeError& error) {
    throw FileError(file.name(), "", error.what());
  }
  return params;
}

}  // namespace embedpool::io
