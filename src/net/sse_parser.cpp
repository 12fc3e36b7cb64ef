#include "perwatt/net/sse_parser.hpp"

#include <algorithm>
#include <cstring>

namespace perwatt::net {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::size_t kMarkIsPast = kByteOrderMark.size() + 1;

/// Finds line ends from left to right, looking at each byte at most twice: the next CR and the next
/// LF are remembered until the reader has passed them.
class LineEnds {
 public:
  explicit LineEnds(std::string_view bytes) : bytes_{bytes} {}

  /// Where the line that begins at `from` ends, or the size of the bytes. REQUIRES: no smaller than
  /// the `from` of the call before.
  std::size_t find(std::size_t from) {
    if (!searched_ || line_feed_ < from) {
      line_feed_ = position('\n', from, bytes_.size());
    }
    if (!searched_ || carriage_return_ < from) {
      carriage_return_ = position('\r', from, bytes_.size());
    }
    searched_ = true;
    return std::min(line_feed_, carriage_return_);
  }

 private:
  [[nodiscard]] std::size_t position(char c, std::size_t from, std::size_t end) const {
    const void* found = std::memchr(bytes_.data() + from, c, end - from);
    return found == nullptr
               ? end
               : static_cast<std::size_t>(static_cast<const char*>(found) - bytes_.data());
  }

  std::string_view bytes_;
  bool searched_ = false;
  std::size_t line_feed_ = 0;
  std::size_t carriage_return_ = 0;
};

}  // namespace

SseParser::SseParser(std::size_t most_event_bytes) : most_event_bytes_{most_event_bytes} {}

bool SseParser::feed(std::string_view bytes, BytesSink data) {
  if (has_failed_) {
    return false;
  }
  std::size_t at = mark_bytes_ == kMarkIsPast ? 0 : skip_byte_order_mark(bytes);
  LineEnds ends{bytes};
  while (at < bytes.size()) {
    if (skips_line_feed_) {
      skips_line_feed_ = false;
      if (bytes[at] == '\n') {
        ++at;
        continue;
      }
    }
    const auto end = ends.find(at);
    const auto piece = bytes.substr(at, end - at);
    if (line_.size() + piece.size() > most_event_bytes_) {
      has_failed_ = true;
      return false;
    }
    if (end == bytes.size()) {
      keep_fresh_data();
      line_.append(piece);
      return true;
    }
    // A line that was begun in line_ is handed on from there: what points into it is used up or
    // copied before line_ changes again.
    const bool was_begun = !line_.empty();
    const std::string_view line = was_begun ? std::string_view{line_.append(piece)} : piece;
    const bool is_within_bound = read_line(line, data);
    if (was_begun) {
      keep_fresh_data();
      line_.clear();
    }
    if (!is_within_bound) {
      has_failed_ = true;
      return false;
    }
    skips_line_feed_ = bytes[end] == '\r';
    at = end + 1;
  }
  keep_fresh_data();
  return true;
}

bool SseParser::holds_unfinished() const {
  const bool holds_part_of_mark = mark_bytes_ > 0 && mark_bytes_ < kByteOrderMark.size();
  return !line_.empty() || has_event_ || holds_part_of_mark;
}

std::size_t SseParser::skip_byte_order_mark(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && mark_bytes_ < kByteOrderMark.size()) {
    if (bytes[at] != kByteOrderMark[mark_bytes_]) {
      if (mark_bytes_ > at) {
        line_ = kByteOrderMark.substr(0, mark_bytes_);  // it was text after all
        mark_bytes_ = kMarkIsPast;
        return at;
      }
      mark_bytes_ = kMarkIsPast;
      return 0;
    }
    ++at;
    ++mark_bytes_;
  }
  if (mark_bytes_ == kByteOrderMark.size()) {
    mark_bytes_ = kMarkIsPast;
  }
  return at;
}

bool SseParser::read_line(std::string_view line, BytesSink data) {
  if (line.empty()) {
    if (has_data_) {
      dispatch(data);
    }
    has_event_ = false;
    return true;
  }
  if (line.front() == ':') {
    return true;
  }
  has_event_ = true;
  return read_field(line);
}

bool SseParser::read_field(std::string_view line) {
  constexpr std::string_view kData = "data";
  if (line.substr(0, kData.size()) != kData ||
      (line.size() > kData.size() && line[kData.size()] != ':')) {
    return true;
  }
  auto value = line.substr(std::min(line.size(), kData.size() + 1));
  if (!value.empty() && value.front() == ' ') {
    value.remove_prefix(1);
  }
  if (!has_data_) {
    has_data_ = true;
    fresh_data_ = value;
    return value.size() <= most_event_bytes_;
  }
  keep_fresh_data();
  data_ += '\n';
  data_ += value;
  return data_.size() <= most_event_bytes_;
}

void SseParser::dispatch(BytesSink data) {
  if (fresh_data_.data() != nullptr) {
    data(fresh_data_);
  } else {
    const auto size = data_.size();
    data_.append(kReadablePadding, '\0');
    data(std::string_view{data_}.substr(0, size));
    data_.clear();
  }
  fresh_data_ = {};
  has_data_ = false;
}

void SseParser::keep_fresh_data() {
  if (fresh_data_.data() != nullptr) {
    data_ = fresh_data_;
    fresh_data_ = {};
  }
}

}  // namespace perwatt::net
