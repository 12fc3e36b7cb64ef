// HTTP/1.1 responses (RFC 9112), incrementally: any split of the bytes gives the same answer.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "perwatt/base/units.hpp"

namespace perwatt::net {

struct ResponseHead {
  int status = 0;
  std::string content_type;  // lower case, without parameters
  bool keep_alive = true;    // the connection may serve another request after this one
  std::optional<Seconds> retry_after;
};

/// One response after another on one connection. Interim answers (1xx) are skipped.
/// Bounds: 64 KiB of head, 1 KiB for one chunk-size line.
class HttpResponseParser {
 public:
  enum class State { head, body, complete, failed };

  /// Takes bytes up to the end of the response at hand; `body` gets views into `bytes`. Returns how
  /// many bytes were taken: fewer than all only when the state is complete or failed.
  std::size_t feed(std::string_view bytes, const std::function<void(std::string_view)>& body);

  /// The peer closed the connection: completes a body that lasts until then, else fails.
  void end_of_stream();

  [[nodiscard]] State state() const { return state_; }

  /// REQUIRES: the head has been read (state body or complete, or failed after it).
  [[nodiscard]] const ResponseHead& head() const { return head_; }

  /// What was wrong. REQUIRES: state failed.
  [[nodiscard]] const std::string& problem() const { return problem_; }

  /// Makes ready for the next response.
  void reset();

 private:
  State state_ = State::head;
  ResponseHead head_;
  std::string problem_;
  // the author of http_response_parser.cpp completes this part
};

}  // namespace perwatt::net
