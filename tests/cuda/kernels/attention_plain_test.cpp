#include "cuda/attention_problem.hpp"

using namespace embedpool;

namespace {

// Scores of size up to 10, exponentials and sums of up to 65 terms, in float against double.
constexpr double float_error = 100 * 0x1p-24;

}  // namespace

TEST_CASE("plain attention and its gradients are those of the definition under every mask") {
  const std::vector<TextShape> texts{TextShape::bare(1), TextShape{37, {9, 30}, 9}, TextShape::bare(5), TextShape::bare(65)};
  const test::AttentionProblem<float> problem(texts, test::every_query, {2, 1, 8, 0.35}, 1);
  test::TestDevice device;
  test::for_every_numbered_mask([&](const auto& mask) {
    test::check_close(problem.run<true>(device, mask), problem.expected(mask), float_error);
  });
}

TEST_CASE("plain attention takes every head, grouped or not, aligned or not, and selected queries") {
  const std::vector<TextShape> texts{TextShape::bare(1), TextShape{19, {3, 19}, 3}};
  test::on_every_device([&](test::TestDevice& device) {
    for (const AttentionShape& shape :
         {AttentionShape{3, 1, 1, 1.0}, {4, 2, 24, 0.2}, {2, 2, 80, 0.1}, {1, 1, 131, 0.1}, {2, 1, 256, 0.06}}) {
      CAPTURE(shape.head_dim);
      const auto check = [&](const auto& choose, const test::NumberedMask& mask, Index shift) {
        CAPTURE(shift);
        const test::AttentionProblem<float> problem(texts, choose, shape, 3);
        test::check_close(problem.run<true>(device, mask, shift), problem.expected(mask), float_error);
      };
      check(test::every_query, test::causal, 0);
      check(test::last_query, test::causal, 0);
      check(test::middle_queries, test::narrow_window, 1);
    }
  });
}

TEST_CASE_TEMPLATE("plain attention in low precision is as good as the plain version", T, bf16, f16) {
  const std::vector<TextShape> texts{TextShape::bare(1), TextShape{37, {9, 30}, 9}};
  test::on_every_device([&](test::TestDevice& device) {
    for (const Index head_dim : {1, 24, 200}) {
      CAPTURE(head_dim);
      const AttentionShape shape{2, 1, head_dim, 1 / std::sqrt(static_cast<double>(head_dim))};
      const test::AttentionProblem<T> problem(texts, test::every_query, shape, 5);
      test::check_as_good(problem.template run<true>(device, test::prefix), problem.rounded(test::prefix),
                          problem.expected(test::prefix));
    }
  });
}

TEST_CASE("a text's plain attention has the same bits alone and in any batch, and so have selected queries") {
  const std::vector<TextShape> texts{TextShape::bare(33), TextShape::bare(1), TextShape::bare(31), TextShape::bare(65)};
  const test::AttentionProblem<float> problem(texts, test::every_query, {1, 1, 8, 0.35}, 7);
  const test::AttentionProblem<float> pruned(texts, test::middle_queries, {2, 1, 8, 0.35}, 9);
  test::TestDevice device;
  test::check_texts_alone<true>(device, problem, test::bidirectional);
  test::check_texts_alone<true>(device, pruned, test::causal);
  test::check_selection<true>(device, problem, test::window, test::last_query);
  test::check_selection<true>(device, problem, test::causal, test::middle_queries);
}
