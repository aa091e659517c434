#pragma once
#include "embedpool/train/contrastive_texts.hpp"
#include "embedpool/train/trained_embedder.hpp"
#include "forward_pass.hpp"

namespace embedpool::program {

class TrainingJob;

/// The model as it is before a training begins, as a second teacher beside that of the data: what the data's teacher does
/// not know is not lost.
class SelfTeacher {
 public:
  /// Keeps the job's reading and head as they are now. On the CPU the texts are read with 8-bit integers, which similarities
  /// do not feel, in half of the time.
  explicit SelfTeacher(const TrainingJob& job);

  /// Puts what the model makes of the texts beside the teacher's embeddings, see joined_teachers; texts without a teacher
  /// stay so.
  void join(ContrastiveTexts<TrainingText>& texts);

 private:
  ForwardPass pass_;
  Reading reading_;
  Index batch_tokens_;
  double weight_;
};

}  // namespace embedpool::program
