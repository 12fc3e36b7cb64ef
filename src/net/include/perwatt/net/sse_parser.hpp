// Server-sent events (the WHATWG event stream format), incrementally: any split of the bytes gives
// the same events.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "perwatt/net/bytes_sink.hpp"

namespace perwatt::net {

/// LF, CR and CRLF end lines; lines of `data` are joined by LF; comments and other fields are
/// skipped; a byte order mark at the start is skipped. Events without a `data` line are not
/// reported; one whose `data` is empty is.
class SseParser {
 public:
  /// `most_event_bytes` bounds the data of one event and each line.
  explicit SseParser(std::size_t most_event_bytes = 16 << 20);

  /// `data` gets the data of each event that `bytes` completes: a view that is valid until it
  /// returns, with kReadablePadding readable bytes behind it; it must not touch this parser.
  /// REQUIRES: kReadablePadding readable bytes behind `bytes`. Returns false, then and for ever,
  /// once an event is longer than the bound; the events before it have been reported.
  bool feed(std::string_view bytes, BytesSink data);

  /// True when bytes of an unfinished event or line are held: a stream that ends here is truncated.
  [[nodiscard]] bool holds_unfinished() const;

 private:
  std::size_t skip_byte_order_mark(std::string_view bytes);
  bool read_line(std::string_view line, BytesSink data);
  bool read_field(std::string_view line);
  void dispatch(BytesSink data);
  void keep_fresh_data();

  std::size_t most_event_bytes_;
  bool has_failed_ = false;
  bool skips_line_feed_ = false;  // the last byte was a CR that ended a line
  bool has_event_ = false;        // a field has come since the last blank line
  bool has_data_ = false;         // and one of them was `data`
  std::size_t mark_bytes_ = 0;   // of the byte order mark that have come; past it: no longer sought
  std::string line_;             // the beginning of a line whose end has not come yet
  std::string data_;             // the data lines that were copied
  std::string_view fresh_data_;  // the first data line of an event, not copied yet
};

}  // namespace perwatt::net
