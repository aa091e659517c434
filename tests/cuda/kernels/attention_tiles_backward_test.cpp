#include "cuda/attention_problem.hpp"

using namespace embedpool;

TEST_CASE("gradients in tiles are as good as the plain version in their precision under every mask") {
  const std::vector<TextShape> texts{TextShape::bare(1), TextShape{67, {9, 60}, 9}};
  const test::AttentionProblem<bf16> problem(texts, test::every_query, {1, 1, 16, 0.25}, 1);
  test::TestDevice device;
  test::for_every_numbered_mask([&](const auto& mask) {
    test::check_as_good(problem.run<true>(device, mask), problem.rounded(mask), problem.expected(mask));
  });
}

TEST_CASE_TEMPLATE("gradients in tiles take every multiple of 16 up to 128, grouped or not", T, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const AttentionShape& shape :
         {AttentionShape{2, 1, 16, 0.25}, {2, 2, 64, 0.125}, {1, 1, 80, 0.11}, {1, 1, 128, 0.09}}) {
      CAPTURE(shape.head_dim);
      const test::AttentionProblem<T> problem({TextShape::bare(17), TextShape::bare(2)}, test::every_query, shape, 3);
      test::check_as_good(problem.template run<true>(device, test::causal), problem.rounded(test::causal),
                          problem.expected(test::causal));
    }
  });
}

TEST_CASE("gradients in tiles of texts that fill tiles, miss them by one or need three have the same bits alone") {
  const std::vector<TextShape> texts{TextShape::bare(1),  TextShape::bare(63), TextShape::bare(64),
                                     TextShape::bare(65), TextShape::bare(130)};
  const test::AttentionProblem<bf16> problem(texts, test::every_query, {1, 1, 16, 0.25}, 5);
  const test::NumberedMask mask = test::narrow_window;
  test::TestDevice device;
  test::check_as_good(problem.run<true>(device, mask), problem.rounded(mask), problem.expected(mask));
  test::check_texts_alone<true>(device, problem, mask);
}

TEST_CASE("gradients in tiles of selected queries are as good, and keys that no query sees have gradient zero") {
  test::TestDevice device;
  for (const auto& choose : {test::last_query, test::middle_queries}) {
    const test::AttentionProblem<f16> problem({TextShape::bare(70), TextShape::bare(20)}, choose, {2, 1, 32, 0.2}, 7);
    test::check_as_good(problem.run<true>(device, test::causal), problem.rounded(test::causal),
                          problem.expected(test::causal));
    test::check_as_good(problem.run<true>(device, test::narrow_window), problem.rounded(test::narrow_window),
                        problem.expected(test::narrow_window));
  }
  const test::AttentionProblem<f16> whole({TextShape::bare(66)}, test::every_query, {1, 1, 16, 0.25}, 8);
  test::check_selection<true>(device, whole, test::window, test::middle_queries);
}

TEST_CASE("gradients in tiles of rows that are not aligned have the bits of aligned ones") {
  const test::AttentionProblem<bf16> problem({TextShape::bare(19)}, test::every_query, {2, 1, 48, 0.15}, 9);
  test::on_every_device([&](test::TestDevice& device) {
    const auto aligned = problem.run<true>(device, test::causal), shifted = problem.run<true>(device, test::causal, 3);
    CHECK(aligned.dq == shifted.dq);
    CHECK(aligned.dk == shifted.dk);
    CHECK(aligned.dv == shifted.dv);
  });
}
