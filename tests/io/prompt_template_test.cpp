#include "embedpool/io/prompt_template.hpp"

#include <doctest/doctest.h>

using namespace embedpool;
using io::PromptTemplate;

TEST_CASE("a template writes around the text what stands around {text}") {
  const auto word = PromptTemplate::parse("This: \"{text}\" means: \"");
  CHECK(word.copies() == 1);
  CHECK(word.render("cat") == "This: \"cat\" means: \"");
  CHECK(word.pieces() == std::vector<std::string>{"This: \"", "\" means: \""});
  const auto echo = PromptTemplate::parse("Rewrite: {text}\nRewritten: {text}");
  CHECK(echo.copies() == 2);
  CHECK(echo.render("cat") == "Rewrite: cat\nRewritten: cat");
  CHECK(echo.render("cat", 1) == "Rewrite: cat");
  CHECK(echo.render("cat", 2, false) == "Rewrite: cat\nRewritten: ");
}

TEST_CASE("a text with {text} in it stays what it is, and so do other braces") {
  CHECK(PromptTemplate::parse("{x}{text}{}").render("{text}") == "{x}{text}{}");
}

TEST_CASE("instructions stand in front, the last one first") {
  const auto prompted = PromptTemplate::parse("a {text} b").behind("inner ").behind("outer ");
  CHECK(prompted.to_string() == "outer inner a {text} b");
  CHECK(PromptTemplate::parse("a {text}").behind("") == PromptTemplate::parse("a {text}"));
  CHECK(PromptTemplate::prompt("query: ").render("cat") == "query: cat");
  CHECK(PromptTemplate{}.is_bare());
  CHECK_FALSE(PromptTemplate::prompt("query: ").is_bare());
}

TEST_CASE("no {text}, or more than two, and a prompt with {text} are refused") {
  CHECK_THROWS_WITH_AS(PromptTemplate::parse("nothing"),
                       "template \"nothing\": {text} must stand in it once or twice, not 0 times", ShapeError);
  CHECK_THROWS_AS(PromptTemplate::parse("{text}{text}{text}"), ShapeError);
  CHECK_THROWS_AS(PromptTemplate::prompt("say {text}"), ShapeError);
  CHECK_THROWS_AS(PromptTemplate{}.behind("say {text}"), ShapeError);
}
