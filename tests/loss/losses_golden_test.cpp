#include <doctest/doctest.h>

#include <limits>

#include "embedpool/io/json.hpp"
#include "embedpool/loss/angle.hpp"
#include "embedpool/loss/cosent.hpp"
#include "embedpool/loss/distillation.hpp"
#include "embedpool/loss/info_nce.hpp"
#include "embedpool/loss/matryoshka.hpp"
#include "support/golden.hpp"

using namespace embedpool;

namespace {

/// The golden files suggest 1e-5 of the loss and 2e-5 of a gradient's peak for float; their results are float64, so a
/// double run differs by rounding alone. A cosine is rounded before it is multiplied by the scale, and the softmax takes its
/// error for a relative one: a large scale allows as much.
template <Real S>
constexpr double loss_tolerance = std::same_as<S, float> ? 1e-5 : 1e-11;
template <Real S>
constexpr double gradient_tolerance = std::same_as<S, float> ? 2e-5 : 1e-10;
template <Real S>
double of_scale(double scale) {
  return 4.0 * scale * std::numeric_limits<S>::epsilon() / 2.0;
}

template <Real S>
class Case {
 public:
  Case(const io::SafetensorsFile& file, std::string name, double scale)
      : file_(file), name_(std::move(name)), of_scale_(of_scale<S>(scale)) {}

  bool has(const std::string& part) const { return file_.find(name_ + "." + part) != nullptr; }
  Matrix<S> matrix(const std::string& part) const {
    return has(part) ? io::matrix_of<S>(file_.at(name_ + "." + part)) : Matrix<S>();
  }
  std::vector<std::int64_t> integers(const std::string& part) const {
    return has(part) ? io::integers_of(file_.at(name_ + "." + part)) : std::vector<std::int64_t>{};
  }
  void check_loss(double loss) const {
    const double expected = io::matrix_of<double>(file_.at(name_ + ".loss"))(0, 0);
    CHECK(std::abs(loss - expected) <= loss_tolerance<S> * std::max(1.0, std::abs(expected)) + of_scale_);
  }
  void check_gradient(const std::string& part, const Matrix<S>& value) const {
    CAPTURE(part);
    const Matrix<S> expected = matrix(part);
    REQUIRE(value.size() == expected.size());
    CHECK(test::peak(Matrix<S>(value - expected)) <= std::max(gradient_tolerance<S>, of_scale_) * test::peak(expected) + 1e-12);  // zero by theory: cosines of one value
  }

  template <class Loss>
  void check_contrastive(const Loss& loss) const {
    const Matrix<S> q = matrix("q"), p = matrix("pos"), n = matrix("neg");
    const auto documents = integers("ids_pos");
    Matrix<S> dq = Matrix<S>::Zero(q.rows(), q.cols()), dp = Matrix<S>::Zero(p.rows(), p.cols()),
              dn = Matrix<S>::Zero(n.rows(), n.cols());
    check_loss(loss(ContrastiveBatch<S>{rows_of(q), rows_of(p), rows_of(n), documents},
                    ContrastiveGradients<S>{rows_of(dq), rows_of(dp), rows_of(dn)}));
    check_gradient("grad.q", dq);
    check_gradient("grad.pos", dp);
    if (n.size() > 0) check_gradient("grad.neg", dn);
  }

  template <class Loss>
  void check_pairs(const Loss& loss) const {
    const Matrix<S> a = matrix("a"), b = matrix("b");
    const Matrix<double> labels = io::matrix_of<double>(file_.at(name_ + ".labels"));
    Matrix<S> da = Matrix<S>::Zero(a.rows(), a.cols()), db = da;
    check_loss(loss(rows_of(a), rows_of(b), std::span<const double>(labels.data(), static_cast<std::size_t>(labels.size())),
                    rows_of(da), rows_of(db)));
    check_gradient("grad.a", da);
    check_gradient("grad.b", db);
  }

  void check_distillation(const DistillationKL& loss) const {
    const Matrix<S> q = matrix("q"), c = matrix("cand"), teacher = matrix("teacher");
    Matrix<S> dq = Matrix<S>::Zero(q.rows(), q.cols()), dc = Matrix<S>::Zero(c.rows(), c.cols());
    check_loss(loss(rows_of(q), rows_of(c), rows_of(teacher), rows_of(dq), rows_of(dc)));
    check_gradient("grad.q", dq);
    check_gradient("grad.cand", dc);
  }

 private:
  const io::SafetensorsFile& file_;
  std::string name_;
  double of_scale_;
};

InfoNCE configured(const io::Json& what) {
  InfoNCE loss;
  loss.scale = what.value("scale", 20.0);
  if (what.contains("margin")) loss.false_negatives.margin = what.at("margin").get<double>();
  if (what.contains("relative")) loss.false_negatives.relative = what.at("relative").get<double>();
  return loss;
}

}  // namespace

TEST_CASE_TEMPLATE("losses and their gradients agree with the golden values", S, float, double) {
  const auto file = io::SafetensorsFile::open(test::golden_directory() / "losses.safetensors");
  const io::Json json = io::read_json(test::golden_directory() / "losses.json");
  for (const auto& item : json.at("cases").items()) {
    const std::string name = item.key();
    const io::Json& what = item.value();
    CAPTURE(name);
    InfoNCE info_nce = configured(what);
    const Case<S> test_case(file, name, info_nce.scale);
    if (name == "two_ranks") {
      continue;  // a test of its own
    } else if (name == "infonce_symmetric") {
      info_nce.symmetric = true;
      test_case.check_contrastive(info_nce);
    } else if (name == "qwen3") {
      InfoNCE loss = InfoNCE::qwen3();
      loss.scale = info_nce.scale;
      loss.false_negatives = info_nce.false_negatives;
      test_case.check_contrastive(loss);
    } else if (name == "matryoshka") {
      test_case.check_contrastive(Matryoshka<InfoNCE>{info_nce, what.at("dims").template get<std::vector<Index>>(),
                                                      what.at("weights").template get<std::vector<double>>()});
    } else if (name.starts_with("cosent")) {
      test_case.check_pairs(CoSENT{what.at("scale").template get<double>()});
    } else if (name.starts_with("angle")) {
      test_case.check_pairs(AnglE{what.at("scale").template get<double>()});
    } else if (name.starts_with("distill")) {
      test_case.check_distillation(
          {what.at("scale").template get<double>(), what.at("teacher_temperature").template get<double>()});
    } else {
      REQUIRE_MESSAGE(name.starts_with("infonce"), "a case that this test does not know");
      test_case.check_contrastive(info_nce);
    }
  }
}

TEST_CASE("each rank's own queries over all ranks' documents give the golden losses and gradients") {
  const auto file = io::SafetensorsFile::open(test::golden_directory() / "losses.safetensors");
  std::vector<Matrix<double>> q, p, n;
  for (Index rank = 0; file.find("two_ranks.rank" + std::to_string(rank) + ".q") != nullptr; ++rank) {
    const std::string prefix = "two_ranks.rank" + std::to_string(rank) + ".";
    q.push_back(io::matrix_of<double>(file.at(prefix + "q")));
    p.push_back(io::matrix_of<double>(file.at(prefix + "pos")));
    n.push_back(io::matrix_of<double>(file.at(prefix + "neg")));
  }
  const auto gathered = [](const std::vector<Matrix<double>>& parts) {
    Matrix<double> all(0, parts.front().cols());
    for (const auto& part : parts) {
      Matrix<double> longer(all.rows() + part.rows(), all.cols());
      longer << all, part;
      all = longer;
    }
    return all;
  };
  const Matrix<double> positives = gathered(p), negatives = gathered(n);
  Matrix<double> dp = Matrix<double>::Zero(positives.rows(), positives.cols()),
                 dn = Matrix<double>::Zero(negatives.rows(), negatives.cols());
  const Matrix<double> losses = io::matrix_of<double>(file.at("two_ranks.loss"));
  const InfoNCE loss_of_rank =
      configured(io::read_json(test::golden_directory() / "losses.json").at("cases").at("two_ranks"));
  const double tolerance = std::max(gradient_tolerance<double>, of_scale<double>(loss_of_rank.scale));
  const auto check = [&](const Matrix<double>& got, const std::string& tensor) {
    CAPTURE(tensor);
    const auto expected = io::matrix_of<double>(file.at(tensor));
    REQUIRE(got.rows() == expected.rows());
    CHECK(test::peak(Matrix<double>(got - expected)) <= tolerance * test::peak(expected));
  };
  Index first = 0, first_negative = 0;
  for (std::size_t rank = 0; rank < q.size(); ++rank) {
    const std::string prefix = "two_ranks.rank" + std::to_string(rank) + ".";
    Matrix<double> dq = Matrix<double>::Zero(q[rank].rows(), q[rank].cols());
    const Matrix<double> dp_before = dp, dn_before = dn;
    const double loss =
        loss_of_rank(ContrastiveBatch<double>{rows_of(std::as_const(q[rank])), rows_of(positives), rows_of(negatives), {}, first},
                  ContrastiveGradients<double>{rows_of(dq), rows_of(dp), rows_of(dn)});
    CHECK(loss == doctest::Approx(losses(0, static_cast<Index>(rank))).epsilon(tolerance));
    // Remote documents constant: the rank's own rows of its own loss.
    check(dq, prefix + "grad_local.q");
    check(dq, prefix + "grad.q");  // a rank's own queries stand in its own loss alone
    check((dp - dp_before).middleRows(first, p[rank].rows()), prefix + "grad_local.pos");
    check((dn - dn_before).middleRows(first_negative, n[rank].rows()), prefix + "grad_local.neg");
    first += p[rank].rows();
    first_negative += n[rank].rows();
  }
  first = first_negative = 0;
  for (std::size_t rank = 0; rank < q.size(); ++rank) {  // the sum of both losses: a gather with gradient
    const std::string prefix = "two_ranks.rank" + std::to_string(rank) + ".";
    check(dp.middleRows(first, p[rank].rows()), prefix + "grad.pos");
    check(dn.middleRows(first_negative, n[rank].rows()), prefix + "grad.neg");
    first += p[rank].rows();
    first_negative += n[rank].rows();
  }
}
