// Server-sent events (the WHATWG event stream format), incrementally: any split of the bytes gives
// the same events.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace perwatt::net {

/// Bytes that may be read (not used) behind every view that parsers and clients hand out, so that a
/// SIMD reader need not copy.
inline constexpr std::size_t kReadablePadding = 64;

/// LF, CR and CRLF end lines; lines of `data` are joined by LF; comments and other fields are
/// skipped; a byte order mark at the start is skipped. Events without data are not reported.
class SseParser {
 public:
  explicit SseParser(std::size_t most_event_bytes = 16 << 20);

  /// `data` gets the data of each event that `bytes` completes: a view that is valid until it
  /// returns, with kReadablePadding readable bytes behind it. REQUIRES: kReadablePadding readable
  /// bytes behind `bytes`. Returns false, then and for ever, once an event is longer than the
  /// bound.
  bool feed(std::string_view bytes, const std::function<void(std::string_view)>& data);

  /// True when bytes of an unfinished event or line are held: a stream that ends here is truncated.
  [[nodiscard]] bool holds_unfinished() const;

 private:
  std::size_t most_event_bytes_;
  // the author of sse_parser.cpp completes this part
};

}  // namespace perwatt::net
