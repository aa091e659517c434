#include "self_teacher.hpp"

#include "embedpool/loss/joined_teachers.hpp"
#include "training_job.hpp"

namespace embedpool::program {

SelfTeacher::SelfTeacher(const TrainingJob& job)
    : pass_(decoder_of(job.settings, job.model), job.settings.config.mask,
            AnyCompute::parse(job.options.device == "cpu" ? "int8" : job.options.compute), job.options.threads,
            job.options.device),
      reading_(job.settings.reading),
      batch_tokens_(job.options.batch_tokens),
      weight_(job.self_weight()) {
  pass_.prepare(reading_);
}

void SelfTeacher::join(ContrastiveTexts<TrainingText>& texts) {
  if (texts.teacher.size() == 0) return;
  Matrix<float> own;
  in_batches(texts.texts, batch_tokens_, [&](const Batch& batch, Index done) {
    const Matrix<float> rows = std::move(pass_.embed(batch, {&reading_, 1}).front());
    own.conservativeResize(done, rows.cols());
    own.bottomRows(rows.rows()) = rows;
  });
  texts.teacher = joined_teachers<float>(rows_of(std::as_const(texts.teacher)), rows_of(std::as_const(own)), weight_);
}

}  // namespace embedpool::program
