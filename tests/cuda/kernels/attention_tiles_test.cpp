#include "cuda/attention_problem.hpp"

using namespace embedpool;

TEST_CASE("tile attention is as good as the plain version in its precision under every mask") {
  const std::vector<TextShape> texts{TextShape::bare(1), TextShape{68, {9, 60}, 9}, TextShape::bare(5)};
  const test::AttentionProblem<bf16> problem(texts, test::every_query, {2, 1, 16, 0.25}, 1);
  test::TestDevice device;
  test::for_every_numbered_mask([&](const auto& mask) {
    test::check_as_good(problem.run<false>(device, mask), problem.rounded(mask), problem.expected(mask));
  });
}

TEST_CASE_TEMPLATE("tile attention takes every multiple of 16 up to 128, grouped or not", T, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const AttentionShape& shape :
         {AttentionShape{2, 2, 16, 0.25}, {2, 1, 64, 0.125}, {1, 1, 80, 0.11}, {1, 1, 128, 0.09}}) {
      CAPTURE(shape.head_dim);
      const test::AttentionProblem<T> problem({TextShape::bare(17), TextShape::bare(2)}, test::every_query, shape, 3);
      test::check_as_good(problem.template run<false>(device, test::causal), problem.rounded(test::causal),
                          problem.expected(test::causal));
    }
  });
}

TEST_CASE("tile attention of texts that fill tiles, miss them by one or need three has the same bits alone") {
  const std::vector<TextShape> texts{TextShape::bare(1),  TextShape::bare(63), TextShape::bare(64),
                                     TextShape::bare(65), TextShape::bare(130)};
  const test::AttentionProblem<bf16> problem(texts, test::every_query, {1, 1, 16, 0.25}, 5);
  const test::NumberedMask mask = test::narrow_window;
  test::on_every_device([&](test::TestDevice& device) {
    test::check_as_good(problem.run<false>(device, mask), problem.rounded(mask), problem.expected(mask));
    test::check_texts_alone<false>(device, problem, mask);
  });
}

TEST_CASE("selected queries of tile attention have the bits of the whole computation") {
  const test::AttentionProblem<f16> problem({TextShape::bare(66), TextShape::bare(20)}, test::every_query, {1, 1, 32, 0.2}, 7);
  test::TestDevice device;
  test::check_selection<false>(device, problem, test::causal, test::last_query);
  test::check_selection<false>(device, problem, test::bidirectional, test::middle_queries);
  // Many rows that are taken through keys which they do not see.
  const test::AttentionProblem<f16> many({TextShape::bare(130)}, test::every_query, {16, 1, 16, 0.25}, 8);
  test::check_selection<false>(device, many, test::causal, test::later_queries);
}

TEST_CASE("tile attention of rows that are not aligned has the bits of aligned ones") {
  const test::AttentionProblem<bf16> problem({TextShape::bare(19)}, test::every_query, {2, 1, 48, 0.15}, 9);
  test::on_every_device([&](test::TestDevice& device) {
    const auto aligned = problem.run<false>(device, test::causal), shifted = problem.run<false>(device, test::causal, 3);
    CHECK(aligned.out == shifted.out);
    CHECK(aligned.log_sum_exp == shifted.log_sum_exp);
  });
}
