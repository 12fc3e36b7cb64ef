#include "perwatt/net/http_response_parser.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "perwatt/base/text.hpp"

namespace perwatt::net {

namespace {

constexpr std::uint64_t kMostBodyBytes = std::numeric_limits<std::int64_t>::max();

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Characters of a field name (RFC 9110 section 5.6.2).
constexpr std::array<bool, 256> kIsTokenCharacter = [] {
  std::array<bool, 256> is_token{};
  for (const char c : std::string_view{"!#$%&'*+-.^_`|~0123456789"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}) {
    is_token[static_cast<unsigned char>(c)] = true;
  }
  return is_token;
}();

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return kIsTokenCharacter[static_cast<unsigned char>(c)];
  });
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_blank(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

/// Control characters other than the tab have no place in a line; a CR would be a line's end for
/// some readers and not for others.
bool has_control_character(std::string_view line) {
  return std::any_of(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
  });
}

/// Takes the element before the next comma off `list`; empty elements are skipped.
std::optional<std::string_view> next_element(std::string_view& list) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    const auto element = without_blanks(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (!element.empty()) {
      return element;
    }
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_length(std::string_view digits) {
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit)) {
    return std::nullopt;
  }
  const auto length = parse_integer(digits);
  return length ? std::optional{static_cast<std::uint64_t>(*length)} : std::nullopt;
}

std::optional<unsigned> hex_value(char c) {
  if (is_digit(c)) {
    return static_cast<unsigned>(c - '0');
  }
  const char lower = static_cast<char>(c | 0x20);
  if (lower >= 'a' && lower <= 'f') {
    return static_cast<unsigned>(lower - 'a' + 10);
  }
  return std::nullopt;
}

}  // namespace

std::size_t HttpResponseParser::feed(std::string_view bytes, BytesSink body) {
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ != State::complete && state_ != State::failed) {
    const auto rest = bytes.substr(taken);
    taken += expects_line() ? take_line(rest) : take_data(rest, body);
  }
  return taken;
}

void HttpResponseParser::end_of_stream() {
  if (state_ == State::complete || state_ == State::failed) {
    return;
  }
  if (expect_ == Expect::data_until_close) {
    state_ = State::complete;
    return;
  }
  fail(has_head_ ? "the connection was closed inside the body"
                 : "the connection was closed before the end of a head");
}

void HttpResponseParser::reset() {
  auto line = std::move(line_);  // its memory serves again
  line.clear();
  *this = {};
  line_ = std::move(line);
}

bool HttpResponseParser::expects_line() const {
  switch (expect_) {
    case Expect::status_line:
    case Expect::header_line:
    case Expect::chunk_size_line:
    case Expect::chunk_data_end:
    case Expect::trailer_line:
      return true;
    case Expect::sized_data:
    case Expect::data_until_close:
    case Expect::chunk_data:
      break;
  }
  return false;
}

std::size_t HttpResponseParser::take_line(std::string_view bytes) {
  const auto searched = bytes.substr(0, line_bytes_left_);
  const auto* end = static_cast<const char*>(std::memchr(searched.data(), '\n', searched.size()));
  if (end == nullptr) {
    line_.append(searched);
    line_bytes_left_ -= searched.size();
    if (searched.size() < bytes.size()) {
      fail("a head, a trailer section or a chunk's size line is too long");
    }
    return searched.size();
  }
  const auto piece = static_cast<std::size_t>(end - searched.data());
  line_bytes_left_ -= piece + 1;
  std::string_view line = searched.substr(0, piece);
  if (!line_.empty()) {
    line = line_.append(line);
  }
  if (!line.empty() && line.back() == '\r') {
    line.remove_suffix(1);
  }
  read_line(line);
  line_.clear();
  return piece + 1;
}

std::size_t HttpResponseParser::take_data(std::string_view bytes, BytesSink body) {
  if (expect_ == Expect::data_until_close) {
    body(bytes);
    return bytes.size();
  }
  const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), data_left_));
  data_left_ -= piece;
  body(bytes.substr(0, piece));
  if (data_left_ == 0) {
    if (expect_ == Expect::chunk_data) {
      expect_line(Expect::chunk_data_end, kMostChunkLineBytes);
    } else {
      state_ = State::complete;
    }
  }
  return piece;
}

void HttpResponseParser::read_line(std::string_view line) {
  if (has_control_character(line)) {
    fail("a control character in the line '" + printable(line) + "'");
    return;
  }
  switch (expect_) {
    case Expect::status_line:
      read_status_line(line);
      return;
    case Expect::header_line:
      if (line.empty()) {
        end_head();
      } else {
        read_header_line(line);
      }
      return;
    case Expect::trailer_line:
      if (line.empty()) {
        state_ = State::complete;
      } else {
        read_header_line(line);
      }
      return;
    case Expect::chunk_size_line:
      read_chunk_size(line);
      return;
    case Expect::chunk_data_end:
      if (!line.empty()) {
        fail("a chunk is longer than its size says");
        return;
      }
      expect_line(Expect::chunk_size_line, kMostChunkLineBytes);
      return;
    case Expect::sized_data:
    case Expect::data_until_close:
    case Expect::chunk_data:
      break;
  }
}

// HTTP/1.x, a blank, three digits and, behind another blank that some servers leave out, words.
void HttpResponseParser::read_status_line(std::string_view line) {
  constexpr std::string_view kVersion = "HTTP/1.";
  constexpr std::size_t kStatusAt = kVersion.size() + 2;
  constexpr std::size_t kStatusEnd = kStatusAt + 3;
  const bool is_status_line =
      line.size() >= kStatusEnd && line.substr(0, kVersion.size()) == kVersion &&
      is_digit(line[kVersion.size()]) && line[kStatusAt - 1] == ' ' &&
      std::all_of(line.begin() + kStatusAt, line.begin() + kStatusEnd, is_digit) &&
      line[kStatusAt] != '0' && (line.size() == kStatusEnd || line[kStatusEnd] == ' ');
  if (!is_status_line) {
    fail("'" + printable(line) + "' is no HTTP/1.1 status line");
    return;
  }
  is_http_1_0_ = line[kVersion.size()] == '0';
  head_.status = 0;
  for (const char c : line.substr(kStatusAt, kStatusEnd - kStatusAt)) {
    head_.status = head_.status * 10 + (c - '0');
  }
  expect_ = Expect::header_line;
}

void HttpResponseParser::read_header_line(std::string_view line) {
  const auto colon = line.find(':');
  if (is_blank(line.front())) {
    fail("a folded header field: '" + printable(line) + "'");
    return;
  }
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    fail("'" + printable(line) + "' is no header field");
    return;
  }
  if (expect_ == Expect::header_line) {
    read_field(line.substr(0, colon), without_blanks(line.substr(colon + 1)));
  }
}

void HttpResponseParser::read_field(std::string_view name, std::string_view value) {
  const auto field = lower_case(name);
  if (field == "content-length") {
    read_content_length(value);
  } else if (field == "transfer-encoding") {
    read_transfer_encoding(value);
  } else if (field == "connection") {
    read_connection(value);
  } else if (field == "content-type" && head_.content_type.empty()) {
    head_.content_type = lower_case(without_blanks(value.substr(0, value.find(';'))));
  } else if (field == "retry-after") {
    if (const auto wait = parse_length(value)) {
      head_.retry_after = seconds(static_cast<double>(*wait));
    }
  }
}

void HttpResponseParser::read_content_length(std::string_view value) {
  auto rest = value;
  auto element = next_element(rest);
  if (!element) {
    fail("an empty Content-Length");
    return;
  }
  for (; element; element = next_element(rest)) {
    const auto length = parse_length(*element);
    if (!length) {
      fail("the Content-Length '" + printable(value) + "' is no number of bytes");
      return;
    }
    if (content_length_ && *content_length_ != *length) {
      fail("two Content-Length values that differ");
      return;
    }
    content_length_ = length;
  }
}

void HttpResponseParser::read_transfer_encoding(std::string_view value) {
  auto rest = value;
  auto element = next_element(rest);
  if (!element) {
    fail("an empty Transfer-Encoding");
    return;
  }
  for (; element; element = next_element(rest)) {
    if (is_chunked_ || lower_case(*element) != "chunked") {
      fail("the transfer coding '" + printable(value) + "' is not plain chunked");
      return;
    }
    is_chunked_ = true;
  }
}

void HttpResponseParser::read_connection(std::string_view value) {
  while (const auto element = next_element(value)) {
    const auto option = lower_case(*element);
    says_close_ = says_close_ || option == "close";
    says_keep_alive_ = says_keep_alive_ || option == "keep-alive";
  }
}

void HttpResponseParser::end_head() {
  constexpr int kSwitchingProtocols = 101;
  constexpr int kFirstFinal = 200;
  constexpr int kNoContent = 204;
  constexpr int kNotModified = 304;
  if (head_.status == kSwitchingProtocols) {
    fail("the server switched to a protocol that was not asked for (101)");
    return;
  }
  if (head_.status < kFirstFinal) {
    const auto left = line_bytes_left_;
    reset();
    line_bytes_left_ = left;  // or interim answers without end would count as a head for ever
    return;
  }
  has_head_ = true;
  const bool framing_is_doubtful = is_chunked_ && (content_length_ || is_http_1_0_);
  head_.keep_alive = !says_close_ && (!is_http_1_0_ || says_keep_alive_) && !framing_is_doubtful;
  state_ = State::body;
  if (head_.status == kNoContent || head_.status == kNotModified) {
    state_ = State::complete;
  } else if (is_chunked_) {
    expect_line(Expect::chunk_size_line, kMostChunkLineBytes);
  } else if (content_length_) {
    expect_ = Expect::sized_data;
    data_left_ = *content_length_;
    state_ = data_left_ == 0 ? State::complete : State::body;
  } else {
    expect_ = Expect::data_until_close;
    head_.keep_alive = false;
  }
}

// Hexadecimal digits, and behind them nothing or an extension, which is skipped.
void HttpResponseParser::read_chunk_size(std::string_view line) {
  constexpr std::uint64_t kBase = 16;
  std::uint64_t size = 0;
  std::size_t digits = 0;
  while (digits < line.size()) {
    const auto digit = hex_value(line[digits]);
    if (!digit) {
      break;
    }
    if (size > kMostBodyBytes / kBase) {
      fail("the chunk size '" + printable(line) + "' is too large");
      return;
    }
    size = size * kBase + *digit;
    ++digits;
  }
  const auto behind = without_blanks(line.substr(digits));
  if (digits == 0 || (!behind.empty() && behind.front() != ';')) {
    fail("'" + printable(line) + "' is no chunk size");
    return;
  }
  if (size == 0) {
    expect_line(Expect::trailer_line, kMostHeadBytes);
    return;
  }
  expect_ = Expect::chunk_data;
  data_left_ = size;
}

void HttpResponseParser::expect_line(Expect next, std::size_t most_bytes) {
  expect_ = next;
  line_bytes_left_ = most_bytes;
}

void HttpResponseParser::fail(std::string problem) {
  state_ = State::failed;
  problem_ = std::move(problem);
}

}  // namespace perwatt::net
