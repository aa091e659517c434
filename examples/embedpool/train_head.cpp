#include <map>

#include "embedpool/train/cached_head.hpp"
#include "embedpool/train/key_cache.hpp"
#include "digest.hpp"
#include "training_loop.hpp"

namespace embedpool::program {
namespace {

/// The distinct texts that a run reads, numbered in the order in which it first does; in the order of the data where it is
/// long enough to read all of them, so that runs with other seeds share kept keys.
class NumberedTexts {
 public:
  explicit NumberedTexts(TrainingJob& job) : job_(job) {
    const LearningOptions& learning = job.options.learning;
    const Index examples = static_cast<Index>(job.data.examples.size());
    if (learning.steps * learning.accumulate * learning.batch.value() >= examples)
      for (Index i = 0; i < examples; ++i) add({i}, job.data);
    for (Index step = 0; step < learning.steps; ++step)
      for (const auto& batch : job.batches(step)) add(batch, job.data);
    for (const auto& batch : job.held_out_batches()) add(batch, job.held_out);
  }
  Index number(const std::string& text, Index group, bool is_query, const TrainingData& from) {
    // An instruction is put in front of queries alone, so the same string may be two texts.
    const std::string& task = from.groups[static_cast<std::size_t>(group)];
    const bool instructed = is_query && job_.settings.config.prompts.contains(task);
    const auto [place, is_new] =
        numbers_.try_emplace({instructed ? task : "", text}, static_cast<Index>(texts_.size()));
    if (is_new) texts_.push_back(job_.text(text, group, is_query, from));
    return place->second;
  }
  const std::vector<TrainingText>& texts() const { return texts_; }
  /// Of the ids of all texts, and of what their own part is.
  std::string digest() const {
    Digest digest;
    const auto add = [&](Index value) { digest.add(static_cast<std::uint64_t>(value)); };
    for (const TrainingText& text : texts_) {
      for (const TokenId id : text.ids) add(id);
      for (const Index place : {text.shape.text.begin, text.shape.text.end, text.shape.second_copy}) add(place);
    }
    return digest.text();
  }

 private:
  void add(const std::vector<Index>& batch, const TrainingData& from) {
    training_batch<Index>(from, batch, job_.options.learning.most_negatives,
                          [&](const std::string& text, Index group, bool is_query) { return number(text, group, is_query, from); });
  }
  TrainingJob& job_;
  std::map<std::pair<std::string, std::string>, Index> numbers_;
  std::vector<TrainingText> texts_;
};

KeyCache<float> computed_keys(const NumberedTexts& numbered, TrainingJob& job) {
  const TrainOptions& options = job.options;
  ForwardPass pass(decoder_of(job.settings, job.model), job.settings.config.mask, AnyCompute::parse(options.compute),
                   options.threads, options.device);
  const Decoder<float>& decoder = job.model.decoder();
  KeyCache<float> cache(decoder.width(), job.settings.reading.slots(decoder.layers()));
  Progress progress(options.label + "keys", options.quiet);
  const auto all = static_cast<double>(numbered.texts().size());
  in_batches(numbered.texts(), options.batch_tokens, [&](const Batch& batch, Index done) {
    pass.add_keys(batch, job.settings.reading, cache);
    progress.add(batch.segments().size(), batch.segments().rows(), static_cast<double>(done) / all);
  });
  progress.finish();
  return cache;
}

/// A file may be damaged: heads count on the keys that their reader gives of a text.
void require_fit(const KeyCache<float>& cache, const NumberedTexts& numbered, const TrainingJob& job, const std::string& file) {
  const Reading& reading = job.settings.reading;
  const Decoder<float>& decoder = job.model.decoder();
  Segments segments;
  for (const TrainingText& text : numbered.texts()) segments.add(text.shape);
  const KeyLayout layout(reading.tokens, segments, reading.layers.count(decoder.layers()));
  bool fits = cache.size() == segments.size() && cache.width() == decoder.width();
  for (Index text = 0; text < cache.size() && fits; ++text)
    fits = std::ranges::equal(cache.keys(text).slot, layout.kinds(text));
  if (!fits) throw FileError(file, "kinds", "are not those of the texts");
}

KeyCache<float> keys_of(const NumberedTexts& numbered, TrainingJob& job) {
  std::string file = job.options.key_cache;
  if (file.empty()) return computed_keys(numbered, job);
  io::EmbedderConfig reading = job.settings.config;
  reading.head = {};
  const std::string description = io::Json{{"embedder", to_json(reading)}, {"compute", job.options.compute},
                                           {"begins", job.beginnings()}, {"texts", numbered.digest()}}.dump();
  if (std::filesystem::is_directory(file)) {
    Digest digest;
    digest.add(description);
    file += "/keys-" + digest.text() + ".safetensors";
  }
  if (std::filesystem::exists(file)) {
    auto kept = KeyCache<float>::read(description, job.settings.reading.slots(job.model.decoder().layers()), file);
    require_fit(kept, numbered, job, file);
    return kept;
  }
  KeyCache<float> cache = computed_keys(numbered, job);
  cache.write(description, file);
  return cache;
}

}  // namespace

bool train_head(TrainingJob& job) {
  Reading& reading = job.settings.reading;
  NumberedTexts numbered(job);
  const KeyCache<float> cache = keys_of(numbered, job);
  CachedHead<float, AnyHead> trained(cache, reading.head, reading.params);
  ThreadPool executor(job.options.threads);
  const bool finished = run_job(
      trained, reading.head.output_width(job.model.decoder().width()), job,
      [&](const std::string& text, Index group, bool is_query, const TrainingData& from) {
        return numbered.number(text, group, is_query, from);
      },
      executor);
  reading.params = trained.params;
  return finished;
}

}  // namespace embedpool::program
