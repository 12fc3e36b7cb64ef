// Cuts a Chrome trace into its events and metadata while it arrives, in bounded memory.
//
// Chrome traces are one JSON object {"traceEvents": [...], ...} or the bare list of events; of
// hundreds of megabytes. The scanner finds where each event begins and ends (braces and strings)
// and hands its text on; what is inside is for a JSON parser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace perwatt::training {

class TraceScanner {
 public:
  struct Receiver {
    /// One element of traceEvents, an object, and the line it starts in.
    std::function<void(std::string_view text, std::size_t line)> event;
    /// Whether the value of this key beside traceEvents is wanted.
    std::function<bool(std::string_view key)> wants;
    /// Its text as JSON.
    std::function<void(std::string_view key, std::string_view text, std::size_t line)> member;
  };

  /// Of one event or one wanted member.
  static constexpr std::size_t kMostText = std::size_t{16} << 20U;

  TraceScanner(std::string name, Receiver receiver)
      : name_{std::move(name)}, receiver_{std::move(receiver)} {}

  /// The next bytes of the file, cut anywhere. Throws Error(bad_input) with the line for what is no
  /// such object or list, and for an event longer than kMostText.
  void feed(std::string_view bytes);

  /// The file has ended. Throws Error(bad_input) when the trace has not.
  void finish();

 private:
  enum class State { start, members, key, colon, value_start, value, events, event, end };

  [[nodiscard]] std::size_t take_plain(std::string_view bytes);
  void check_room(std::size_t count) const;
  void step(char c);
  void step_structure(char c);
  void begin_value(char c);
  void begin_text(State state, char c);
  void follow(char c);
  [[nodiscard]] bool follow_scalar(char c);
  void keep(char c);
  void end_text();
  [[noreturn]] void refuse(const std::string& what, const std::string& remedy) const;

  std::string name_;
  Receiver receiver_;
  State state_ = State::start;
  bool is_bare_list_ = false;
  bool has_events_ = false;
  bool is_kept_ = false;    // the current text is for the receiver
  bool is_scalar_ = false;  // a number, true, false or null
  bool in_string_ = false;
  bool is_escaped_ = false;
  std::int64_t depth_ = 0;
  std::size_t line_ = 1;
  std::size_t text_line_ = 1;
  std::string key_;
  std::string text_;
};

}  // namespace perwatt::training
