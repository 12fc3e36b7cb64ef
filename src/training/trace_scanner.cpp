#include "trace_scanner.hpp"

#include <algorithm>
#include <array>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::training {

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

using ByteSet = std::array<bool, 256>;

constexpr ByteSet set_of(std::string_view bytes) {
  ByteSet set{};
  for (const char c : bytes) {
    set[static_cast<unsigned char>(c)] = true;
  }
  return set;
}

constexpr ByteSet kSpecialInString = set_of("\"\\\n");
constexpr ByteSet kSpecialOutside = set_of("\"{}[]\n");

}  // namespace

void TraceScanner::refuse(const std::string& what, const std::string& remedy) const {
  throw_bad_input(what, name_ + ":" + std::to_string(line_), remedy);
}

void TraceScanner::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    bytes.remove_prefix(take_plain(bytes));
    if (bytes.empty()) {
      return;
    }
    const char c = bytes.front();
    step(c);
    if (c == '\n') {
      ++line_;
    }
    bytes.remove_prefix(1);
  }
}

/// Most bytes of a text change no state: takes those in front at once and says how many.
std::size_t TraceScanner::take_plain(std::string_view bytes) {
  const bool is_inside = (state_ == State::event || state_ == State::value) && !is_scalar_;
  if (!is_inside || is_escaped_) {
    return 0;
  }
  const auto& is_special = in_string_ ? kSpecialInString : kSpecialOutside;
  const auto end = std::find_if(bytes.begin(), bytes.end(),
                                [&](char c) { return is_special[static_cast<unsigned char>(c)]; });
  const auto count = static_cast<std::size_t>(end - bytes.begin());
  if (is_kept_) {
    check_room(count);
    text_.append(bytes.substr(0, count));
  }
  return count;
}

void TraceScanner::check_room(std::size_t count) const {
  if (text_.size() + count > kMostText) {
    refuse("an entry of more than 16 MiB", "this is no trace of a profiler");
  }
}

void TraceScanner::finish() {
  // A bare list may lack its closing bracket: programs append to it until they end.
  const bool is_open_list = is_bare_list_ && state_ == State::events;
  if (state_ != State::end && !is_open_list) {
    refuse("the trace ends before its last bracket",
           "wait until the profiler has written the file, or export it again");
  }
  if (!has_events_) {
    refuse("the trace has no traceEvents",
           "give a file of torch.profiler's export_chrome_trace, or another Chrome trace");
  }
}

void TraceScanner::step(char c) {
  switch (state_) {
    case State::value:
    case State::event:
      follow(c);
      return;
    case State::key:
      if (c == '"' && !is_escaped_) {
        state_ = State::colon;
        return;
      }
      is_escaped_ = c == '\\' && !is_escaped_;
      keep(c);
      return;
    default:
      if (!is_space(c)) {
        step_structure(c);
      }
  }
}

/// Between texts.
void TraceScanner::step_structure(char c) {
  switch (state_) {
    case State::start:
      if (c == '{') {
        state_ = State::members;
        return;
      }
      if (c == '[') {
        is_bare_list_ = has_events_ = true;
        state_ = State::events;
        return;
      }
      break;
    case State::members:
      if (c == '"') {
        begin_text(State::key, c);
        text_.clear();
        return;
      }
      if (c == ',' || c == '}') {
        state_ = c == '}' ? State::end : State::members;
        return;
      }
      break;
    case State::colon:
      if (c == ':') {
        key_ = text_;
        state_ = State::value_start;
        return;
      }
      break;
    case State::value_start:
      begin_value(c);
      return;
    case State::events:
      if (c == '{') {
        begin_text(State::event, c);
        depth_ = 1;
        return;
      }
      if (c == ',' || c == ']') {
        state_ = c == ',' ? State::events : is_bare_list_ ? State::end : State::members;
        return;
      }
      break;
    default:
      break;
  }
  refuse("'" + printable({&c, 1}) + "' stands where a trace has none",
         "give a Chrome trace: {\"traceEvents\": [{…}, …]}");
}

void TraceScanner::begin_value(char c) {
  if (key_ == "traceEvents") {
    if (c != '[' || has_events_) {
      refuse(has_events_ ? "traceEvents stands twice" : "traceEvents is no list",
             "give one list of events");
    }
    has_events_ = true;
    state_ = State::events;
    return;
  }
  if (c == ',' || c == '}' || c == ']' || c == ':') {
    refuse("'" + printable(key_) + "' has no value", "complete the JSON");
  }
  begin_text(State::value, c);
  is_kept_ = receiver_.wants(key_);
  is_scalar_ = c != '"' && c != '{' && c != '[';
  in_string_ = c == '"';
  depth_ = c == '{' || c == '[' ? 1 : 0;
}

void TraceScanner::begin_text(State state, char c) {
  state_ = state;
  is_kept_ = true;
  is_scalar_ = in_string_ = is_escaped_ = false;
  text_line_ = line_;
  text_.assign(1, c);
}

void TraceScanner::keep(char c) {
  if (!is_kept_) {
    return;
  }
  check_room(1);
  text_ += c;
}

/// True when `c` ended the scalar, which it does not belong to.
bool TraceScanner::follow_scalar(char c) {
  if (c != ',' && c != '}' && !is_space(c)) {
    return false;
  }
  end_text();
  if (!is_space(c)) {
    step_structure(c);
  }
  return true;
}

/// Inside a value or an event.
void TraceScanner::follow(char c) {
  if (is_scalar_ && follow_scalar(c)) {
    return;
  }
  keep(c);
  if (in_string_) {
    if (is_escaped_) {
      is_escaped_ = false;
      return;
    }
    is_escaped_ = c == '\\';
    in_string_ = c != '"';
    if (!in_string_ && depth_ == 0) {
      end_text();
    }
    return;
  }
  in_string_ = c == '"';
  if (c == '{' || c == '[') {
    ++depth_;
  } else if (c == '}' || c == ']') {
    if (--depth_ == 0) {
      end_text();
    }
  }
}

void TraceScanner::end_text() {
  const bool is_event = state_ == State::event;
  state_ = is_event ? State::events : State::members;
  if (is_event) {
    receiver_.event(text_, text_line_);
  } else if (is_kept_) {
    receiver_.member(key_, text_, text_line_);
  }
}

}  // namespace perwatt::training
