#include <algorithm>
#include <bit>

#include "digest.hpp"
#include "settings.hpp"

namespace embedpool::program {
namespace {

void add(const LoraAdapter<float>& adapter, Digest& digest) {
  for (const auto& [place, lora] : adapter.entries) {
    for (const Index number : {static_cast<Index>(place.kind), place.layer, place.expert})
      digest.add(static_cast<std::uint64_t>(number));
    digest.add(lora.a);
    digest.add(lora.b);
    digest.add(std::uint64_t{std::bit_cast<std::uint32_t>(lora.scale)});
  }
}

}  // namespace

std::string digest_of(const LoraAdapter<float>& adapter) {
  Digest digest;
  add(adapter, digest);
  return digest.text();
}

void require_not_merged(const LoraAdapter<float>& adapter, const std::string& folder, const Model& model) {
  const std::vector<std::string> merged = model.merged_adapters();
  if (std::find(merged.begin(), merged.end(), digest_of(adapter)) != merged.end())
    throw FileError(folder, "adapter_model.safetensors", "is merged into " + model.path() + " already");
}

std::string learned_digest(Settings& settings) {
  Digest digest;
  if (settings.adapter) add(*settings.adapter, digest);
  AnyHead::for_each(settings.reading.params, [&](auto&&, const Matrix<float>& tensor) { digest.add(tensor); });
  if (const auto& calibration = settings.reading.calibration)
    for (const Matrix<float>* values : {&calibration->mean, &calibration->inverse_scale}) digest.add(*values);
  return digest.text();
}

}  // namespace embedpool::program
