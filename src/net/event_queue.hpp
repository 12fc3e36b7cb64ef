// The body of a stream of events: what waits for its caller, bounded.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace perwatt::net {

class EventQueue {
 public:
  EventQueue(std::size_t most_bytes, bool is_chunked)
      : most_bytes_{most_bytes}, is_chunked_{is_chunked} {}

  /// The head of the answer.
  [[nodiscard]] static std::string head(bool is_chunked);

  /// False for an event that is lost: one without room, and all after it until take().
  bool add(std::string_view event);

  /// The bytes to be written next, with an event about those lost; empty when nothing waits, and
  /// after the end of the body.
  [[nodiscard]] std::string take();

  void end() { is_ended_ = true; }

  [[nodiscard]] bool is_ended() const { return is_ended_; }

 private:
  std::size_t most_bytes_;
  bool is_chunked_;
  std::string waiting_;
  std::size_t lost_ = 0;  // since take()
  bool is_ended_ = false;
  bool is_end_taken_ = false;
};

}  // namespace perwatt::net
