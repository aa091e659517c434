#pragma once
#include <concepts>
#include <span>
#include <vector>

#include "embedpool/core/executor.hpp"
#include "embedpool/nn/dropout.hpp"
#include "embedpool/train/adamw.hpp"
#include "embedpool/train/trained_tensor.hpp"

namespace embedpool {

/// A model that a trainer can teach: texts to embeddings, and back.
///
/// Beyond the syntax a model promises that
///   - embed gives a row a text; with equal keys texts have the same bits in any part of a batch, where key.first_text
///     counts the texts before the part;
///   - embed_and_back gives the same up to rounding (a head may have another order of sums for training), calls
///     derivative(embeddings) -> de once, and *adds* to the gradients;
///   - tensors() names what is trained, always the same in the same order; clear_gradients sets their gradients to 0;
///   - changed() is called after values were changed.
template <class M>
concept TrainableModel = Real<typename M::Scalar> &&
    requires(M model, std::span<const typename M::Text> texts, const DropoutKey& key, SerialExecutor executor,
             Matrix<typename M::Scalar> (*derivative)(const Matrix<typename M::Scalar>&)) {
      { model.embed(texts, key, executor) } -> std::same_as<Matrix<typename M::Scalar>>;
      { model.embed_and_back(texts, key, derivative, executor) } -> std::same_as<void>;
      { model.tensors() } -> std::same_as<std::vector<TrainedTensor<typename M::Scalar>>>;
      { model.clear_gradients() } -> std::same_as<void>;
      { model.changed() } -> std::same_as<void>;
    };

/// A TrainableModel that updates what it trains itself, since values and gradients do not lie on the host:
///   - parameter_update(rule, decay, tensors of the loss) has the members of ParameterUpdate;
///   - bring_back() copies values to where tensors() point; gradients there are not used;
///   - changed() is called after values were changed there, and not after steps of the update.
template <class M>
concept UpdatesItself = TrainableModel<M> &&
    requires(M model, AdamW rule, const std::vector<TrainedTensor<typename M::Scalar>>& of_loss) {
      model.parameter_update(rule, double{}, of_loss);
      { model.bring_back() } -> std::same_as<void>;
    };

}  // namespace embedpool
