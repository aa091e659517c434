#include <doctest/doctest.h>

#include <limits>
#include <map>
#include <regex>
#include <set>

#include "embedpool/io/json.hpp"
#include "embedpool/pooling/heads/additive_attention.hpp"
#include "embedpool/pooling/heads/cross_attention.hpp"
#include "embedpool/pooling/heads/latent_attention.hpp"
#include "embedpool/pooling/heads/layer_attention.hpp"
#include "embedpool/pooling/heads/layer_mix.hpp"
#include "embedpool/pooling/heads/perceiver_head.hpp"
#include "embedpool/pooling/heads/single_query_attention.hpp"
#include "embedpool/pooling/heads/weighted_layers.hpp"
#include "embedpool/pooling/normalize.hpp"
#include "pooling/heads/one_text.hpp"
#include "support/golden.hpp"

using namespace embedpool;

namespace {

/// Measured errors of a plain float32 version and what the golden files suggest: 1e-5 on outputs (of their peak, where that
/// is above 1), 2e-5 of the peak of a gradient. In double only the rounding of the stored float32 results is left.
template <Real S>
constexpr double output_tolerance = std::same_as<S, float> ? 1e-5 : 1e-7;
template <Real S>
constexpr double gradient_tolerance = std::same_as<S, float> ? 2e-5 : 1e-6;

/// One golden case: the keys of every text, and what should come out.
template <Real S>
class Case {
 public:
  Case(const io::SafetensorsFile& file, std::string name) : file_(file), name_(std::move(name)) {
    const io::Tensor& inputs = has("inputs") ? file.at(name_ + ".inputs") : file.at("inputs");
    const Matrix<S> rows = io::matrix_of<S>(inputs);
    input_shape_ = inputs.shape;
    if (inputs.shape.size() == 3) {  // [L, N, d]: a mix over layers, row by row; every row is a text of L keys
      const Index layers = inputs.shape[0], tokens = inputs.shape[1];
      for (Index n = 0; n < tokens; ++n)
        add([&](Index k) { return k * tokens + n; }, layers, rows);
    } else if (has("inputs")) {  // one key a text
      for (Index n = 0; n < rows.rows(); ++n) add([&](Index) { return n; }, 1, rows);
    } else {
      const Segments segments = test::segments_of(file.at("offsets"));
      const auto mask = has("pool_mask") ? io::integers_of(file.at(name_ + ".pool_mask"))
                                         : std::vector<std::int64_t>(static_cast<std::size_t>(rows.rows()), 1);
      for (Index b = 0; b < segments.size(); ++b) {
        std::vector<Index> kept;
        for (Index t = segments.offset(b); t < segments.offset(b) + segments.shape(b).tokens; ++t)
          if (mask[static_cast<std::size_t>(t)] != 0) kept.push_back(t);
        add([&](Index k) { return kept[static_cast<std::size_t>(k)]; }, static_cast<Index>(kept.size()), rows);
      }
    }
  }

  bool has(const std::string& part) const { return file_.find(name_ + "." + part) != nullptr; }

  /// Runs the head forward and backward and compares everything that the file holds.
  template <class Head>
  void check(const Head& head, bool normalised) const {
    typename Head::template Params<S> params = head.template init<S>(texts_.front().cols(), longest());
    std::set<std::string> known;
    Head::for_each(params, [&](const std::string& tensor, Matrix<S>& value) {
      known.insert(tensor);
      value = io::matrix_of<S>(file_.at(name_ + ".param." + tensor));
    });
    for (const auto& entry : file_.tensors()) {
      const std::string full = entry.first;
      const std::string prefix = name_ + ".param.";
      if (full.starts_with(prefix)) {
        CAPTURE(full);
        CHECK(known.contains(full.substr(prefix.size())));  // no parameter of the case is left unused
      }
    }
    if constexpr (requires { head.check(params, Index(1), Index(1)); })
      head.check(params, texts_.front().cols(), longest());

    const Matrix<S> expected = io::matrix_of<S>(file_.at(name_ + ".out"));
    const Matrix<S> g = io::matrix_of<S>(file_.at(name_ + ".g"));
    auto dparams = params;
    Head::for_each(dparams, [](auto&&, Matrix<S>& value) { value.setZero(); });
    Matrix<S> dinputs = Matrix<S>::Zero(input_rows(), texts_.front().cols());
    double worst = 0.0, worst_raw = 0.0, worst_prepared = 0.0;
    for (std::size_t b = 0; b < texts_.size(); ++b) {
      const Index row = static_cast<Index>(b);
      const Keys<S> keys{rows_of(texts_[b]), slots_[b]};
      typename Head::template Cache<S> cache;
      const RowVector<S> raw = head.forward(params, keys, cache);
      const RowVector<S> fast = test::prepared_embedding<S>(head, params, keys);
      worst_prepared = std::max(worst_prepared, test::peak(fast - raw) / std::max(1.0, test::peak(raw)));
      RowVector<S> out = raw, de = g.row(row);
      if (normalised) {
        const S length = raw.norm();
        out = raw / length;
        de = (g.row(row) - out * out.dot(g.row(row))) / length;  // through the L2 step, which is not the head's
      }
      const auto error = [](const RowVector<S>& got, const RowVector<S>& golden) {
        return test::peak(RowVector<S>(got - golden)) / std::max(1.0, test::peak(golden));
      };
      worst = std::max(worst, error(out, expected.row(row)));
      if (has("out_unnormalised"))
        worst_raw = std::max(worst_raw, error(raw, io::matrix_of<S>(file_.at(name_ + ".out_unnormalised")).row(row)));
      Matrix<S> dkeys = Matrix<S>::Zero(texts_[b].rows(), texts_[b].cols());
      head.backward(params, keys, cache, de, dparams, rows_of(dkeys));
      for (Index k = 0; k < dkeys.rows(); ++k) dinputs.row(places_[b][static_cast<std::size_t>(k)]) += dkeys.row(k);
    }
    CHECK(worst < output_tolerance<S>);
    CHECK(worst_raw < output_tolerance<S>);
    CHECK(worst_prepared < output_tolerance<S>);
    double largest = test::peak(io::matrix_of<S>(file_.at(name_ + ".grad.inputs")));
    Head::for_each(dparams, [&](const std::string& tensor, Matrix<S>&) {
      largest = std::max(largest, test::peak(io::matrix_of<S>(file_.at(name_ + ".grad." + tensor))));
    });
    check_gradient("inputs", dinputs, largest);
    Head::for_each(dparams, [&](const std::string& tensor, Matrix<S>& value) { check_gradient(tensor, value, largest); });
  }

 private:
  template <class RowOf>
  void add(const RowOf& row_of, Index keys, const Matrix<S>& rows) {
    Matrix<S> text(keys, rows.cols());
    std::vector<Index> slots, places;
    for (Index k = 0; k < keys; ++k) {
      text.row(k) = rows.row(row_of(k));
      slots.push_back(k);
      places.push_back(row_of(k));
    }
    texts_.push_back(text);
    slots_.push_back(slots);
    places_.push_back(places);
  }
  Index longest() const {
    Index most = 0;
    for (const auto& text : texts_) most = std::max<Index>(most, text.rows());
    return most;
  }
  Index input_rows() const {
    Index rows = 1;
    for (std::size_t i = 0; i + 1 < input_shape_.size(); ++i) rows *= input_shape_[i];
    return rows;
  }
  /// `largest` is the peak of all gradients of the case.
  void check_gradient(const std::string& tensor, const Matrix<S>& value, double largest) const {
    const Matrix<S> expected = io::matrix_of<S>(file_.at(name_ + ".grad." + tensor));
    CAPTURE(tensor);
    REQUIRE(expected.size() == value.size());
    const double error = test::peak(Matrix<S>(Eigen::Map<const Matrix<S>>(value.data(), expected.rows(), expected.cols()) - expected));
    // Gradients that are zero by theory are stored as zero or below 1e-13; here they may be the rounding of terms that
    // cancel, some last places of the largest gradient.
    CHECK(error <= gradient_tolerance<S> * test::peak(expected) + 1e-12 + 32 * largest * std::numeric_limits<S>::epsilon());
  }

  const io::SafetensorsFile& file_;
  std::string name_;
  std::vector<Index> input_shape_;
  std::vector<Matrix<S>> texts_;
  std::vector<std::vector<Index>> slots_, places_;
};

}  // namespace

TEST_CASE_TEMPLATE("heads agree with the golden outputs and gradients of the original implementations", S, float, double) {
  const auto file = io::SafetensorsFile::open(test::golden_directory() / "heads.safetensors");
  const io::Json json = io::read_json(test::golden_directory() / "heads.json");
  const Index perceiver_heads = json.at("heads").get<Index>();
  int checked = 0;
  for (const auto& entry : json.at("cases").items()) {
    const std::string name = entry.key();
    CAPTURE(name);
    const std::string text = entry.value().at("what").template get<std::string>();
    std::smatch match;
    const bool says_heads = std::regex_search(text, match, std::regex("(\\d+) heads?\\b"));
    REQUIRE((says_heads || !name.ends_with("_mha")));
    const Index heads = says_heads ? std::stol(match[1]) : perceiver_heads;
    const auto rows_of_param = [&](const char* tensor) { return file.at(name + ".param." + tensor).shape.front(); };
    ++checked;
    const Case<S> test_case(file, name);
    if (name.starts_with("paper_")) {
      PerceiverHead head{rows_of_param("latents"), perceiver_heads, 1, 0, test_case.has("param.pos_emb.weight"),
                         Residual::latents};
      test_case.check(head, true);
    } else if (name == "nvembed") {
      test_case.check(LatentAttention{rows_of_param("latents"), perceiver_heads, 1, 0, false}, true);
    } else if (name == "multilayer_mha") {
      test_case.check(CrossAttention{rows_of_param("query"), heads, true, CrossAttention::Start::paper}, false);
    } else if (name == "single_query") {
      test_case.check(SingleQueryAttention{}, false);
    } else if (name == "additive") {
      test_case.check(AdditiveAttention{}, false);
    } else if (name == "scalar_mix") {
      test_case.check(LayerMix{}, false);
    } else if (name == "weighted_layers") {
      test_case.check(WeightedLayers{}, false);
    } else if (name == "layer_attention_plain") {
      test_case.check(LayerAttention{0}, false);
    } else if (name == "layer_attention_mha") {
      test_case.check(LayerAttention{heads}, false);
    } else {
      REQUIRE_MESSAGE(name.starts_with("st_"), "a case that this test does not know");  // readers: a test of their own
      --checked;
    }
  }
  CHECK(checked > 0);
}
