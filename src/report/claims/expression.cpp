#include "expression.hpp"

#include <cmath>
#include <vector>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

constexpr int kDeepest = 100;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_of_name(char c) {
  return is_letter(c) || is_digit(c) || c == '_';
}

class Evaluator {
 public:
  Evaluator(std::string_view text, const NamedValues& values, std::string_view where)
      : text_{text}, values_{&values}, where_{where} {}

  double whole() {
    const double value = sum();
    if (skip_blanks(); at_ < text_.size()) {
      fail("'" + printable(text_.substr(at_, 1)) + "' is not expected",
           "use numbers, names, + - * / and parentheses");
    }
    if (!std::isfinite(value)) {
      throw_bad_input("'" + printable(text_) + "' is not finite", std::string{where_},
                      "use smaller numbers");
    }
    return value;
  }

 private:
  double sum() {
    double value = product();
    for (char sign = next(); sign == '+' || sign == '-'; sign = next()) {
      ++at_;
      const double other = product();
      value = sign == '+' ? value + other : value - other;
    }
    return value;
  }

  double product() {
    double value = factor();
    for (char sign = next(); sign == '*' || sign == '/'; sign = next()) {
      ++at_;
      const auto begin = at_;
      const double other = factor();
      if (sign == '/' && other == 0) {
        at_ = begin;
        fail("divides by zero", "correct the value it divides by");
      }
      value = sign == '*' ? value * other : value / other;
    }
    return value;
  }

  double factor() {
    if (++depth_ > kDeepest) {
      fail("nests more than " + std::to_string(kDeepest) + " deep", "split it into steps");
    }
    const double value = factor_inside();
    --depth_;
    return value;
  }

  double factor_inside() {
    const char c = next();
    if (c == '-' || c == '+') {
      ++at_;
      return c == '-' ? -factor() : factor();
    }
    if (c == '(') {
      ++at_;
      const double value = sum();
      if (next() != ')') {
        fail("a parenthesis is not closed", "add )");
      }
      ++at_;
      return value;
    }
    if (is_letter(c)) {
      return named();
    }
    if (is_digit(c) || c == '.') {
      return number();
    }
    fail(c == '\0' ? "ends where a number or a name is needed"
                   : "'" + printable(text_.substr(at_, 1)) + "' is not expected",
         "use numbers, names, + - * / and parentheses");
  }

  double named() {
    const auto begin = at_;
    while (at_ < text_.size() && is_of_name(text_[at_])) {
      ++at_;
    }
    const auto name = text_.substr(begin, at_ - begin);
    const auto value = values_->find(name);
    if (value == values_->end()) {
      std::vector<std::string> known;
      for (const auto& [key, ignored] : *values_) {
        known.push_back(key);
      }
      at_ = begin;
      fail("'" + printable(name) + "' is not an input or an earlier step",
           known.empty() ? "add an input" : suggestion(name, known));
    }
    return value->second;
  }

  double number() {
    const auto begin = at_;
    while (at_ < text_.size() &&
           (is_of_name(text_[at_]) || text_[at_] == '.' || is_exponent_sign())) {
      ++at_;
    }
    const auto digits = text_.substr(begin, at_ - begin);
    const auto value = parse_number(digits);
    if (!value) {
      at_ = begin;
      fail("'" + printable(digits) + "' is no decimal number", "write it as 12, 0.5 or 1.2e6");
    }
    return *value;
  }

  /// The sign of "1e-6".
  bool is_exponent_sign() const {
    return (text_[at_] == '-' || text_[at_] == '+') &&
           (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E');
  }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  /// The next character after blanks, or NUL at the end.
  char next() {
    skip_blanks();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  [[noreturn]] void fail(const std::string& what, const std::string& remedy) const {
    throw_bad_input(
        "'" + printable(text_) + "' at character " + std::to_string(at_ + 1) + ": " + what,
        std::string{where_}, remedy);
  }

  std::string_view text_;
  const NamedValues* values_;
  std::string_view where_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

double evaluate_expression(std::string_view text, const NamedValues& values,
                           std::string_view where) {
  return Evaluator{text, values, where}.whole();
}

bool is_value_name(std::string_view text) {
  if (text.empty() || !is_letter(text.front())) {
    return false;
  }
  for (const char c : text) {
    if (!is_of_name(c)) {
      return false;
    }
  }
  return true;
}

}  // namespace perwatt::report
