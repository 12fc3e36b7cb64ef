#include "prometheus_text.hpp"

#include <charconv>
#include <cmath>

#include "perwatt/base/text.hpp"

namespace perwatt::device {

namespace {

constexpr std::size_t kMostLabels = 128;
constexpr std::size_t kMostSamples = 1'000'000;

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

bool is_name_character(char c, bool first) {
  const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
  return is_letter || (!first && c >= '0' && c <= '9');
}

/// Numbers as Go writes them: +Inf, NaN, decimals with an exponent.
std::optional<double> parse_go_number(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+')) {
      return std::nullopt;
    }
  }
  double value = 0.0;
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (status != std::errc{} || stop != end || text.empty()) {
    return std::nullopt;
  }
  return value;
}

/// One line, read from left to right. Each function returns false, with the problem kept, when the
/// line is malformed.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : rest_{line} {}

  bool read_sample(PrometheusSample& sample, bool times_are_seconds) {
    return read_name(sample.name) && read_labels(sample.labels) && read_value(sample.value) &&
           read_time(sample.unix_time, times_are_seconds);
  }

  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  void skip_blanks() {
    while (!rest_.empty() && is_blank(rest_.front())) {
      rest_.remove_prefix(1);
    }
  }

  bool read_name(std::string& name) {
    std::size_t length = 0;
    while (length < rest_.size() && is_name_character(rest_[length], length == 0)) {
      ++length;
    }
    if (length == 0) {
      return fail("no name where one is expected");
    }
    name = rest_.substr(0, length);
    rest_.remove_prefix(length);
    skip_blanks();
    return true;
  }

  bool read_labels(std::vector<PrometheusLabel>& labels) {
    if (!rest_.starts_with('{')) {
      return true;
    }
    rest_.remove_prefix(1);
    skip_blanks();
    while (!rest_.starts_with('}')) {
      PrometheusLabel label;
      if (!read_name(label.name)) {
        return false;
      }
      if (!rest_.starts_with('=')) {
        return fail("no '=' behind a label's name");
      }
      rest_.remove_prefix(1);
      skip_blanks();
      if (!read_quoted(label.value)) {
        return false;
      }
      if (labels.size() == kMostLabels) {
        return fail("more than " + std::to_string(kMostLabels) + " labels");
      }
      labels.push_back(std::move(label));
      skip_blanks();
      if (rest_.starts_with(',')) {
        rest_.remove_prefix(1);
        skip_blanks();
      } else if (!rest_.starts_with('}')) {
        return fail("neither ',' nor '}' behind a label");
      }
    }
    rest_.remove_prefix(1);
    skip_blanks();
    return true;
  }

  bool read_quoted(std::string& value) {
    if (!rest_.starts_with('"')) {
      return fail("a label's value is not quoted");
    }
    std::size_t at = 1;
    for (; at < rest_.size() && rest_[at] != '"'; ++at) {
      if (rest_[at] != '\\') {
        value += rest_[at];
        continue;
      }
      ++at;
      const char escaped = at < rest_.size() ? rest_[at] : '\0';
      if (escaped == 'n') {
        value += '\n';
      } else if (escaped == '\\' || escaped == '"') {
        value += escaped;
      } else {
        return fail("an escape other than \\\\, \\\" and \\n");
      }
    }
    if (at >= rest_.size()) {
      return fail("a quote that is not closed");
    }
    rest_.remove_prefix(at + 1);
    return true;
  }

  std::string_view take_token() {
    std::size_t length = 0;
    while (length < rest_.size() && !is_blank(rest_[length])) {
      ++length;
    }
    const auto token = rest_.substr(0, length);
    rest_.remove_prefix(length);
    skip_blanks();
    return token;
  }

  bool read_value(std::optional<double>& value) {
    const auto number = parse_go_number(take_token());
    if (!number) {
      return fail("the value is no number");
    }
    if (std::isfinite(*number)) {
      value = *number;
    }
    return true;
  }

  bool read_time(std::optional<Seconds>& time, bool times_are_seconds) {
    if (rest_.empty() || rest_.starts_with('#')) {  // '#': an exemplar of OpenMetrics
      return true;
    }
    const auto number = parse_go_number(take_token());
    if (!number || !std::isfinite(*number)) {
      return fail("the time is no number");
    }
    if (!rest_.empty() && !rest_.starts_with('#')) {
      return fail("something behind the time");
    }
    constexpr double kMillisecondsPerSecond = 1e3;
    time = seconds(times_are_seconds ? *number : *number / kMillisecondsPerSecond);
    return true;
  }

  std::string_view rest_;
  std::string problem_;
};

std::string_view without_blank_ends(std::string_view line) {
  while (!line.empty() && (is_blank(line.back()) || line.back() == '\r')) {
    line.remove_suffix(1);
  }
  while (!line.empty() && is_blank(line.front())) {
    line.remove_prefix(1);
  }
  return line;
}

}  // namespace

std::string_view PrometheusSample::label(std::string_view label_name) const {
  for (const auto& label : labels) {
    if (label.name == label_name) {
      return label.value;
    }
  }
  return {};
}

Result<std::vector<PrometheusSample>> parse_prometheus_text(
    std::string_view page, const std::function<bool(std::string_view)>& wanted) {
  if (!page.empty() && page.back() != '\n' && !page.ends_with("# EOF")) {
    return Failure{"the page does not end with a line end: it was cut off"};
  }
  // 0.0.4 gives times in milliseconds, OpenMetrics, which alone ends with EOF, in seconds.
  const bool times_are_seconds = page.ends_with("# EOF\n") || page.ends_with("# EOF");
  std::vector<PrometheusSample> samples;
  std::size_t line_number = 0;
  while (!page.empty()) {
    ++line_number;
    const auto end = page.find('\n');
    const auto line = without_blank_ends(page.substr(0, end));
    page.remove_prefix(end == std::string_view::npos ? page.size() : end + 1);
    if (line.empty() || line.front() == '#') {
      continue;
    }
    PrometheusSample sample;
    LineReader reader{line};
    if (!reader.read_sample(sample, times_are_seconds)) {
      return Failure{"line " + std::to_string(line_number) + ": " + reader.problem() + ": '" +
                     printable(line) + "'"};
    }
    if (!wanted(sample.name)) {
      continue;
    }
    if (samples.size() == kMostSamples) {
      return Failure{"more than " + std::to_string(kMostSamples) + " samples"};
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace perwatt::device
