#pragma once
#include <string>
#include <vector>

#include "settings.hpp"

namespace embedpool::program {

/// The folder whose settings hold: that of the head, else that of the calibration; "" for none.
std::string saved_folder(const EmbeddingOptions& options);

/// Takes what the folders of --head and --calibration hold in place of the model's own settings.
///
/// Errors  FileError naming folder and key: another model's, or keys of another kind in the two
void take_saved(const EmbeddingOptions& options, const Model& model, Settings& settings);

/// Layers by one name each, so that equal choices are equal strings: "last", "all", or rising numbers.
std::string canonical_layers(const AnyLayers& chosen, Index layers);

/// "[1, 2]"
std::string ids_text(const std::vector<TokenId>& ids);

}  // namespace embedpool::program
