#include "cuda/attention_problem.hpp"

using namespace embedpool;

TEST_CASE("every policy is a mask of a kernel, the user's own among them") {
  const std::vector<TextShape> texts{TextShape::bare(1), TextShape{13, {4, 13}, 4}};
  const test::AttentionProblem<float> problem(texts, test::every_query, {1, 1, 4, 0.5}, 1);
  test::TestDevice device;
  const auto check = [&](const auto& mask) {  // small scores and few terms, in float against double
    test::check_close(problem.run<false>(device, mask), problem.expected(mask), 32 * 0x1p-24);
  };
  check(Causal{});
  check(Bidirectional{});
  check(CausalWindow{3});
  check(CausalWindowInclusive{3});
  check(BidirectionalWindow{3});
  check(BidirectionalWindowExclusive{3});
  check(PrefixBidirectional{});
  check(Intersection{Causal{}, BidirectionalWindow{2}});
  check(test::Blocks{5});
}

TEST_CASE("an AttentionBatch lists every tile once, those that cost most first") {
  Segments segments;
  for (const Index tokens : {1, 130, 64, 65}) segments.add(TextShape::bare(tokens));
  const RowSelection late(segments, [](const TextShape& text) { return Interval{text.tokens / 2, text.tokens}; });
  test::TestDevice device;
  cuda::AttentionBatchBuffer buffer;
  const cuda::AttentionBatch batch = buffer.upload(device, segments, late);
  const auto host = [&](const cuda::AttentionTile* tiles, Index count) {
    std::vector<cuda::AttentionTile> copy(static_cast<std::size_t>(count));
    device.copy_out(copy.data(), tiles, count * Index(sizeof(cuda::AttentionTile)));
    device.wait();
    std::vector<std::pair<int, int>> list;
    for (const cuda::AttentionTile& tile : copy) list.emplace_back(tile.text, tile.first);
    return list;
  };
  using List = std::vector<std::pair<int, int>>;
  CHECK(host(batch.key_tiles, batch.key_tile_count) == List{{1, 0}, {1, 64}, {3, 0}, {2, 0}, {1, 128}, {0, 0}, {3, 64}});
  CHECK(host(batch.query_tiles, batch.query_tile_count) == List{{1, 64}, {1, 0}, {3, 0}, {2, 0}, {0, 0}});
  CHECK(batch.keys.rows == 260);
  CHECK(batch.queries.rows == 1 + 65 + 32 + 33);
}

TEST_CASE("attention works without log_sum_exp, and on a batch without texts") {
  test::TestDevice device;
  const test::AttentionProblem<bf16> problem({TextShape::bare(3)}, test::every_query, {1, 1, 16, 0.25}, 1);
  const test::OnDevice<bf16> q(device, problem.q, 3, 16), k(device, problem.k, 3, 16), v(device, problem.v, 3, 16),
      out(device, problem.q, 3, 16);
  cuda::AttentionBatchBuffer buffer;
  const auto batch = buffer.upload(device, problem.segments, problem.queries);
  cuda::masked_attention<bf16>(device, q.rows(), k.rows(), v.rows(), batch, problem.shape, test::causal, out.rows(), {});
  CHECK(test::widened(out.values()) == problem.run<false>(device, test::causal).out);

  const Segments none;
  cuda::masked_attention<bf16>(device, Rows<const bf16>(nullptr, 0, 16), Rows<const bf16>(nullptr, 0, 16),
                               Rows<const bf16>(nullptr, 0, 16), buffer.upload(device, none, RowSelection::all(none)),
                               problem.shape, test::causal, Rows<bf16>(nullptr, 0, 16), {});
}

TEST_CASE("attention refuses what does not fit, by name") {
  test::TestDevice device;
  const test::AttentionProblem<float> problem({TextShape::bare(3)}, test::every_query, {2, 1, 4, 0.5}, 1);
  const test::OnDevice<float> q(device, problem.q, 3, 8), k(device, problem.k, 3, 4), out(device, problem.q, 3, 8);
  cuda::AttentionBatchBuffer buffer;
  const auto batch = buffer.upload(device, problem.segments, problem.queries);
  const auto attend = [&](Rows<const float> queries, Rows<const float> keys, const AttentionShape& shape) {
    cuda::masked_attention<float>(device, queries, keys, keys, batch, shape, test::causal, out.rows(), {});
  };
  const auto refuses = [&](Rows<const float> queries, Rows<const float> keys, const AttentionShape& shape,
                           const char* culprit) {
    CHECK_THROWS_WITH_AS(attend(queries, keys, shape), doctest::Contains(culprit), ShapeError);
  };
  attend(q.rows(), k.rows(), problem.shape);
  refuses(q.rows().middle_rows(0, 2), k.rows(), problem.shape, "rows of q");
  refuses(q.rows().middle_cols(0, 4), k.rows(), problem.shape, "columns of q");
  refuses(q.rows(), k.rows().middle_rows(0, 2), problem.shape, "rows of k");
  refuses(q.rows(), q.rows(), problem.shape, "columns of k");
  refuses(q.rows(), k.rows(), {3, 2, 4, 0.5}, "heads % kv_heads");
  refuses(q.rows(), k.rows(), {1, 1, 257, 0.5}, "head_dim");
  refuses(q.rows(), k.rows(), {2, 1, 4, 0.0}, "scale");
  refuses(q.rows(), k.rows(), {2, 1, 4, std::nan("")}, "scale");
}
