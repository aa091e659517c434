#include <doctest/doctest.h>

#include "embedpool/eval/significance/holm.hpp"
#include "embedpool/eval/significance/wilcoxon.hpp"
#include "embedpool/io/json.hpp"
#include "support/golden.hpp"

using namespace embedpool;

TEST_CASE("the signed-rank test agrees with the reference for every method and alternative") {
  const io::Json cases = io::read_json(test::golden_directory() / "wilcoxon.json").at("wilcoxon");
  REQUIRE(!cases.empty());
  const std::pair<const char*, Alternative> alternatives[] = {
      {"two-sided", Alternative::two_sided}, {"greater", Alternative::greater}, {"less", Alternative::less}};
  const std::pair<const char*, WilcoxonMethod> methods[] = {{"exact", WilcoxonMethod::exact},
                                                            {"normal", WilcoxonMethod::normal},
                                                            {"normal_corrected", WilcoxonMethod::normal_corrected},
                                                            {"normal_pratt", WilcoxonMethod::normal_pratt}};
  int compared = 0;
  for (const io::Json& item : cases) {
    const auto a = item.at("a_micro").get<std::vector<double>>(), b = item.at("b_micro").get<std::vector<double>>();
    std::vector<double> differences;
    for (std::size_t i = 0; i < a.size(); ++i) differences.push_back(a[i] - b[i]);  // whole numbers: exact
    const WilcoxonResult plain = wilcoxon_signed_rank(differences);
    CHECK(plain.n == item.at("n_nonzero").get<Index>());
    CHECK(plain.zeros == item.at("zeros").get<Index>());
    CHECK(plain.w_plus == item.at("w_plus").get<double>());
    CHECK(plain.w_minus == item.at("w_minus").get<double>());
    for (const auto& alternative : alternatives)
      for (const auto& method : methods) {
        const io::Json& expected = item.at("p").at(alternative.first);
        if (!expected.contains(method.first) || !expected.at(method.first).is_number()) continue;
        const std::string what = std::string(alternative.first) + " " + method.first;
        CAPTURE(what);
        CAPTURE(a.size());
        ++compared;
        // The golden files' own tolerance.
        CHECK(std::abs(wilcoxon_signed_rank(differences, alternative.second, method.second).p -
                       expected.at(method.first).get<double>()) <= 1e-10);
      }
  }
  CHECK(compared > 0);
}

TEST_CASE("Holm's adjusted p-values agree with the reference") {
  const io::Json cases = io::read_json(test::golden_directory() / "wilcoxon.json").at("holm");
  REQUIRE(!cases.empty());
  for (const io::Json& item : cases) {
    const auto adjusted = holm_adjusted(item.at("p").get<std::vector<double>>());
    const auto expected = item.at("holm").get<std::vector<double>>();
    REQUIRE(adjusted.size() == expected.size());
    for (std::size_t i = 0; i < adjusted.size(); ++i) CHECK(std::abs(adjusted[i] - expected[i]) <= 1e-12);  // one product
  }
}
