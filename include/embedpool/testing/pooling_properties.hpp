#pragma once
#include "embedpool/testing/gradient_properties.hpp"
#include "embedpool/testing/padding_property.hpp"
#include "embedpool/testing/reader_properties.hpp"
#include "embedpool/testing/streaming_properties.hpp"

/// What every pooling promises, as checks for any test framework: each returns what is wrong, or "" when the promise
/// holds. Write `CHECK(padding_is_never_read<float>(pooling) == "")` for your own readers and heads.
///
///   batch_does_not_matter              the same bits alone, in a batch, at any position of it
///   workers_do_not_matter              the same bits whoever runs the jobs, there and back
///   streaming_equals_storing           layers in any order, the last one pruned
///   padding_is_never_read              left, right and in holes
///   backward_agrees_with_differences   central differences in double
///   keys_are_rows_where_said           for readers with keys_are_rows()
