// HTTP/1.1 responses (RFC 9112), incrementally: any split of the bytes gives the same answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "perwatt/base/units.hpp"
#include "perwatt/net/bytes_sink.hpp"

namespace perwatt::net {

struct ResponseHead {
  int status = 0;
  std::string content_type;            // lower case, without parameters
  bool keep_alive = true;              // the connection may serve another request after this one
  std::optional<Seconds> retry_after;  // given in seconds; a date is not read
};

/// One response after another on one connection, to requests other than HEAD and CONNECT. Interim
/// answers (1xx) are skipped. LF alone ends a line too. Refused: folded header fields, framing that
/// two readers could understand differently (Content-Length values that differ, a CR inside a
/// line), transfer codings other than chunked, 101. Transfer-Encoding beside Content-Length wins,
/// and the connection is not kept, as RFC 9112 section 6.1 says.
/// Bounds: 64 KiB of head (interim ones included), 64 KiB of trailers, 1 KiB for one chunk-size
/// line.
class HttpResponseParser {
 public:
  enum class State { head, body, complete, failed };

  /// Takes bytes up to the end of the response at hand; `body` gets views into `bytes`, never empty
  /// ones, and must not touch this parser. Returns how many bytes were taken: fewer than all only
  /// when the state is complete or failed.
  std::size_t feed(std::string_view bytes, BytesSink body);

  /// The peer closed the connection: completes a body that lasts until then, else fails.
  void end_of_stream();

  [[nodiscard]] State state() const { return state_; }

  /// True once the final head has been read, also when the body failed later.
  [[nodiscard]] bool has_head() const { return has_head_; }

  /// REQUIRES: has_head().
  [[nodiscard]] const ResponseHead& head() const { return head_; }

  /// What was wrong. REQUIRES: state failed.
  [[nodiscard]] const std::string& problem() const { return problem_; }

  /// Makes ready for the next response.
  void reset();

 private:
  // What the next byte belongs to.
  enum class Expect : std::uint8_t {
    status_line,
    header_line,
    sized_data,
    data_until_close,
    chunk_size_line,
    chunk_data,
    chunk_data_end,
    trailer_line
  };

  [[nodiscard]] bool expects_line() const;
  std::size_t take_line(std::string_view bytes);
  std::size_t take_data(std::string_view bytes, BytesSink body);
  void read_line(std::string_view line);
  void read_status_line(std::string_view line);
  void read_header_line(std::string_view line);
  void read_field(std::string_view name, std::string_view value);
  void read_content_length(std::string_view value);
  void read_transfer_encoding(std::string_view value);
  void read_connection(std::string_view value);
  void read_chunk_size(std::string_view line);
  void end_head();
  void expect_line(Expect next, std::size_t most_bytes);
  void fail(std::string problem);

  State state_ = State::head;
  Expect expect_ = Expect::status_line;
  bool has_head_ = false;
  bool is_http_1_0_ = false;
  bool says_close_ = false;
  bool says_keep_alive_ = false;
  bool is_chunked_ = false;
  std::optional<std::uint64_t> content_length_;
  std::uint64_t data_left_ = 0;                   // of the body or the chunk
  std::size_t line_bytes_left_ = kMostHeadBytes;  // that the section at hand may still take
  std::string line_;  // the beginning of a line whose end has not come yet
  ResponseHead head_;
  std::string problem_;

  static constexpr std::size_t kMostHeadBytes = 64 << 10;
  static constexpr std::size_t kMostChunkLineBytes = 1 << 10;
};

}  // namespace perwatt::net
