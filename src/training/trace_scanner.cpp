#include "trace_scanner.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::training {

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

}  // namespace

void TraceScanner::refuse(const std::string& what, const std::string& remedy) const {
  throw_bad_input(what, name_ + ":" + std::to_string(line_), remedy);
}

void TraceScanner::feed(std::string_view bytes) {
  for (const char c : bytes) {
    step(c);
    if (c == '\n') {
      ++line_;
    }
  }
}

void TraceScanner::finish() {
  if (state_ != State::end) {
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
  if (text_.size() >= kMostText) {
    refuse("an entry of more than 16 MiB", "this is no trace of a profiler");
  }
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
