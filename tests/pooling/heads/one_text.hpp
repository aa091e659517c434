#pragma once
#include "embedpool/pooling/heads/batched_head.hpp"

namespace embedpool::test {

/// What a head's path for batches gives for one text alone, with work prepared for it.
template <Real S, class Head>
RowVector<S> prepared_embedding(const Head& head, const typename Head::template Params<S>& params, const Keys<S>& keys) {
  SerialExecutor serial;
  const auto prepared = prepare_head<S>(head, params, ExecutorRef(serial));
  BatchOf<S, Head> batch;
  RowVector<S> e(head.output_width(keys.rows.cols));
  forward_all<S>(head, params, prepared, {&keys, 1}, batch, Rows<S>(e.data(), 1, e.cols()), ExecutorRef(serial));
  return e;
}

}  // namespace embedpool::test
