#pragma once
// Reading back what reports are made of, as strictly as an XML parser does.
#include <doctest/doctest.h>

#include <cctype>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace embedpool::test {

/// An element as it was written: its name, its attributes, and the text right behind its opening tag.
struct MarkupElement {
  std::string name{};
  std::map<std::string, std::string> attributes{};
  std::string text{};

  double number(const std::string& attribute) const { return std::strtod(attributes.at(attribute).c_str(), nullptr); }
};

/// The elements of well-formed XML in their order. Anything else fails the test: tags that do not match, attributes
/// without quotes or twice, a bare < or &, control characters.
inline std::vector<MarkupElement> elements_of(std::string_view xml, bool html = false) {
  std::vector<MarkupElement> elements;
  std::vector<std::string> open;
  std::size_t at = 0;
  bool opened = false;  // the last tag
  const auto require_text = [](std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      REQUIRE_MESSAGE(((c >= 0x20 || c == '\n') && c != 0x7F && c != '<'), "in text: " << text);
      if (c != '&') continue;
      const std::string_view entity = text.substr(i, text.find(';', i) - i);
      const bool known = entity == "&lt" || entity == "&gt" || entity == "&amp" || entity == "&quot" || entity == "&#39";
      REQUIRE_MESSAGE(known, "entity " << entity);
    }
  };
  if (html) at = xml.find("<html");
  while (at < xml.size()) {
    const std::size_t tag = std::min(xml.find('<', at), xml.size());
    const std::string_view text = xml.substr(at, tag - at);
    const bool style = !open.empty() && open.back() == "style";
    if (!style) require_text(text);
    if (opened) elements.back().text = text;
    if (tag == xml.size()) break;
    at = tag + 1;
    const bool closing = xml[at] == '/';
    at += closing;
    opened = !closing;
    std::string name;
    while (std::isalnum(static_cast<unsigned char>(xml[at]))) name += xml[at++];
    REQUIRE(!name.empty());
    if (closing) {
      REQUIRE_MESSAGE((!open.empty() && open.back() == name), "</" << name << "> closes what is not open");
      open.pop_back();
      REQUIRE(xml[at] == '>');
      ++at;
      continue;
    }
    MarkupElement element{name};
    while (xml[at] == ' ') {
      const std::size_t equals = xml.find('=', at);
      const std::string attribute(xml.substr(at + 1, equals - at - 1));
      REQUIRE(xml[equals + 1] == '"');
      const std::size_t end = xml.find('"', equals + 2);
      const std::string_view value = xml.substr(equals + 2, end - equals - 2);
      require_text(value);
      REQUIRE_MESSAGE(element.attributes.emplace(attribute, value).second, attribute << " stands twice in " << name);
      at = end + 1;
    }
    const bool empty = xml.substr(at, 2) == "/>", is_void = html && name == "meta";
    REQUIRE(xml[at + (empty ? 1 : 0)] == '>');
    at += empty ? 2 : 1;
    if (!empty && !is_void) open.push_back(name);
    elements.push_back(std::move(element));
  }
  REQUIRE_MESSAGE(open.empty(), "not closed: " << open.back());
  return elements;
}

/// How many elements have this name, and this value of an attribute if one is named.
inline int count_of(const std::vector<MarkupElement>& elements, const std::string& name, const std::string& attribute = "",
                    const std::string& value = "") {
  int count = 0;
  for (const MarkupElement& element : elements) {
    const auto found = element.attributes.find(attribute);
    count += element.name == name && (attribute.empty() || (found != element.attributes.end() && found->second == value));
  }
  return count;
}

inline std::size_t times(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

}  // namespace embedpool::test
