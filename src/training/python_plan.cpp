#include "python_plan.hpp"

#include <cctype>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::training {

namespace {

class PythonPlan {
 public:
  PythonPlan(std::string_view text, const std::string& name) : text_{text}, name_{name} {}

  PlanTable read() {
    PlanTable table;
    table.name = name_;
    const char close = open("a list with one list per stage");
    while (!closes(close)) {
      const char stage_close = open("a list of the operations of a stage");
      auto& stage = table.stages.emplace_back();
      while (!closes(stage_close)) {
        stage.push_back(entry());
        comma(stage_close);
      }
      comma(close);
    }
    skip();
    if (next_ < text_.size()) {
      fail("something follows the list");
    }
    return table;
  }

 private:
  PlanEntry entry() {
    PlanEntry entry;
    skip();
    if (!text_.substr(next_).starts_with('(') && !text_.substr(next_).starts_with('[')) {
      entry.knob.frequency_mhz = number();
      return entry;
    }
    const char close = open("an operation");
    entry.instruction = quoted();
    comma(close);
    entry.knob.frequency_mhz = number();
    comma(close);
    if (!closes(close)) {
      fail("an operation has more than an instruction and a frequency");
    }
    return entry;
  }

  /// Blanks, line ends and comments.
  void skip() {
    while (next_ < text_.size()) {
      const char c = text_[next_];
      if (c == '#') {
        next_ = std::min(text_.find('\n', next_), text_.size());
      } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
        ++next_;
      } else {
        return;
      }
    }
  }

  char open(const char* what) {
    skip();
    const char c = next_ < text_.size() ? text_[next_] : '\0';
    if (c != '[' && c != '(') {
      fail(std::string{"here should begin "} + what);
    }
    ++next_;
    return c == '[' ? ']' : ')';
  }

  bool closes(char close) {
    skip();
    if (next_ < text_.size() && text_[next_] == close) {
      ++next_;
      return true;
    }
    return false;
  }

  void comma(char close) {
    skip();
    if (next_ < text_.size() && text_[next_] == ',') {
      ++next_;
    } else if (next_ >= text_.size() || text_[next_] != close) {
      fail(std::string{"here should be ',' or '"} + close + "'");
    }
  }

  std::string quoted() {
    skip();
    const char quote = next_ < text_.size() ? text_[next_] : '\0';
    const auto end = text_.find(quote, next_ + 1);
    if ((quote != '\'' && quote != '"') || end == std::string_view::npos) {
      fail("here should be an instruction in quotes");
    }
    const auto content = text_.substr(next_ + 1, end - next_ - 1);
    next_ = end + 1;
    return std::string{content};
  }

  int number() {
    skip();
    auto end = next_;
    while (end < text_.size() && std::isdigit(static_cast<unsigned char>(text_[end])) != 0) {
      ++end;
    }
    constexpr std::int64_t kMost = 100000;
    const auto value = parse_integer(text_.substr(next_, end - next_));
    if (!value || *value > kMost) {
      fail("here should be a frequency in MHz");
    }
    next_ = end;
    return static_cast<int>(*value);
  }

  [[noreturn]] void fail(const std::string& what) const {
    std::size_t line = 1;
    for (const char c : text_.substr(0, next_)) {
      line += c == '\n' ? 1 : 0;
    }
    throw_bad_input(what + ", not '" + printable(text_.substr(next_, 20)) + "'",
                    name_ + ":" + std::to_string(line),
                    "give one list per stage of (\"forward\", 1410)");
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t next_ = 0;
};

}  // namespace

PlanTable read_python_plan(std::string_view text, const std::string& name) {
  return PythonPlan{text, name}.read();
}

}  // namespace perwatt::training
