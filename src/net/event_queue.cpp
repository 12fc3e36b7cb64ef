#include "event_queue.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "perwatt/net/http_server.hpp"

namespace perwatt::net {

namespace {

std::string chunk_of(std::string_view bytes) {
  std::array<char, 16> size{};
  const auto end = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16).ptr;
  std::string chunk{size.data(), end};
  chunk.append("\r\n").append(bytes).append("\r\n");
  return chunk;
}

}  // namespace

std::string event_text(std::string_view name, std::string_view data) {
  std::string text = "event: ";
  text.append(name).append("\n");
  for (bool is_last = false; !is_last;) {
    const auto end = data.find_first_of("\r\n");
    is_last = end == std::string_view::npos;
    text.append("data: ").append(data.substr(0, end)).append("\n");
    if (!is_last) {
      data.remove_prefix(data.substr(end).starts_with("\r\n") ? end + 2 : end + 1);
    }
  }
  return text + "\n";
}

std::string EventQueue::head(bool is_chunked) {
  return std::string{
             "HTTP/1.1 200 OK\r\n"
             "Content-Type: text/event-stream; charset=utf-8\r\n"
             "Cache-Control: no-store\r\n"
             "X-Accel-Buffering: no\r\n"  // of nginx: pass events on as they come
             "Connection: close\r\n"} +
         (is_chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
}

bool EventQueue::add(std::string_view event) {
  if (lost_ > 0 || (!waiting_.empty() && waiting_.size() + event.size() > most_bytes_)) {
    ++lost_;
    return false;
  }
  waiting_ += event;
  return true;
}

std::string EventQueue::take() {
  std::string bytes = std::exchange(waiting_, {});
  if (lost_ > 0) {
    bytes += event_text("lost", "{\"events\":" + std::to_string(std::exchange(lost_, 0)) + "}");
  }
  if (is_chunked_ && !bytes.empty()) {
    bytes = chunk_of(bytes);
  }
  if (is_ended_ && is_chunked_ && !std::exchange(is_end_taken_, true)) {
    bytes += "0\r\n\r\n";
  }
  return bytes;
}

}  // namespace perwatt::net
