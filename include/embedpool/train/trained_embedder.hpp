#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/io/decoder_tensor_names.hpp"
#include "embedpool/io/head_files.hpp"
#include "embedpool/model/decoder_parameters.hpp"
#include "embedpool/model/embedding_step.hpp"
#include "embedpool/train/trainable_model.hpp"

namespace embedpool {

/// One text of a training batch: its ids, and where its own tokens lie among them.
struct TrainingText {
  std::vector<TokenId> ids;
  TextShape shape;
};

/// What of an embedder is trained.
struct TrainedParts {
  bool adapter = true;
  bool head = true;
  bool base = false;  ///< every tensor of the decoder, decoded into S
};

/// An embedder in training: a decoder with LoRA beside its weights, a mask, a pooling with its head.
///
/// Members that the pooling reads (params, calibration, finishing) may be set between steps. Not movable once tensors()
/// was asked for: they point into it.
template <Real S, MaskPolicy MaskType, class PoolingType>
class TrainedEmbedder {
 public:
  using Scalar = S;
  using Text = TrainingText;
  using Pooling = PoolingType;
  using Params = typename Pooling::template Params<S>;

  LoraAdapter<S> adapter;
  Params params;
  Pooling pooling;
  MaskType mask;
  std::optional<Calibration<S>> calibration{};
  Finishing finishing{};
  LastState last_state = LastState::normalized;

  /// `kept_blocks`: how many blocks keep what backward reads; the others are computed again (DecoderTraining).
  TrainedEmbedder(Decoder<S> decoder, LoraAdapter<S> lora, Pooling pooled, Params learned, MaskType seen = {},
                  TrainedParts parts = {}, Index kept_blocks = DecoderTraining<S>::every_block)
      : adapter(std::move(lora)), params(std::move(learned)), pooling(std::move(pooled)), mask(std::move(seen)),
        decoder_(std::move(decoder)), parts_(parts), training_(kept_blocks), dparams_(params) {
    pooling.check(decoder_.layers(), decoder_.width());
    gradients_ = DecoderGradients<S>::of(adapter);
    if (!parts_.adapter)
      for (LoraPair<S>& pair : gradients_.lora) pair = {};
    if (parts_.base) {
      base_.emplace(decoder_);
      decoder_ = base_->decoder();
      gradients_.add_base(decoder_.config(), [](const DecoderTensorPlace&) { return true; });
    }
    clear_gradients();
  }
  TrainedEmbedder(const TrainedEmbedder&) = delete;
  TrainedEmbedder& operator=(const TrainedEmbedder&) = delete;

  template <Executor E>
  Matrix<S> embed(std::span<const Text> texts, const DropoutKey& key, E& executor) {
    return embed_in_training(TrainedDecoder<S>{decoder_, adapter}, reading(), batch_of(texts), key, training_, executor);
  }
  template <class Derivative, Executor E>
  void embed_and_back(std::span<const Text> texts, const DropoutKey& key, Derivative&& derivative, E& executor) {
    embedding_step(TrainedDecoder<S>{decoder_, adapter, &gradients_}, reading(), batch_of(texts), key,
                   std::forward<Derivative>(derivative), dparams_, training_, executor);
  }

  /// Pairs as `lora.<number>.<name in Hugging Face checkpoints>`, then the head's tensors, then the base's.
  std::vector<TrainedTensor<S>> tensors() {
    std::vector<TrainedTensor<S>> list;
    for (std::size_t i = 0; i < adapter.entries.size() && parts_.adapter; ++i) {
      auto& [place, lora] = adapter.entries[i];
      std::string name = "lora." + std::to_string(i) + "." + io::hugging_face_name(place);
      name.erase(name.size() - std::string("weight").size());
      list.push_back({name + "lora_A.weight", &lora.a, &gradients_.lora[i].a, TrainedPart::adapter, true});
      list.push_back({name + "lora_B.weight", &lora.b, &gradients_.lora[i].b, TrainedPart::adapter, true});
    }
    if (parts_.head) {
      std::vector<Matrix<S>*> of_head;
      Pooling::Head::for_each(dparams_, [&](auto&&, Matrix<S>& tensor) { of_head.push_back(&tensor); });
      std::size_t i = 0;
      Pooling::Head::for_each(params, [&](const std::string& name, Matrix<S>& tensor) {
        list.push_back({"head." + name, &tensor, of_head[i++], TrainedPart::head, !io::detail::is_vector(name, tensor)});
      });
    }
    for (std::size_t i = 0; i < gradients_.base.size(); ++i) {
      const auto& [place, value] = base_->tensors()[i];
      list.push_back({"base." + io::hugging_face_name(place), value.get(), &gradients_.base[i].value, TrainedPart::base,
                      value->rows() > 1});
    }
    return list;
  }
  void clear_gradients() {
    gradients_.clear();
    Pooling::Head::for_each(dparams_, [](auto&&, Matrix<S>& tensor) { tensor.setZero(); });
  }
  void changed() {
    if (base_) decoder_ = base_->decoder();
  }

  const Decoder<S>& decoder() const noexcept { return decoder_; }

  /// Where gradients are added: of the decoder's parts, and of the head.
  DecoderGradients<S>& gradients() noexcept { return gradients_; }
  Params& head_gradients() noexcept { return dparams_; }

  static Batch batch_of(std::span<const Text> texts) {
    Batch batch;
    for (const Text& text : texts) batch.add(text.ids, text.shape);
    return batch;
  }

 private:
  TrainedReading<S, MaskType, Pooling> reading() const {
    return {pooling, params, mask, calibration ? &*calibration : nullptr, finishing, last_state};
  }

  Decoder<S> decoder_;
  TrainedParts parts_;
  std::optional<DecoderParameters<S>> base_;
  DecoderTraining<S> training_;
  DecoderGradients<S> gradients_;
  Params dparams_;
};

}  // namespace embedpool
