#include "perwatt/net/stream_client.hpp"

#include "stream_loop.hpp"

namespace perwatt::net {

std::string_view to_string(StreamEnd end) {
  switch (end) {
    case StreamEnd::complete:
      return "complete";
    case StreamEnd::connect_failed:
      return "connect_failed";
    case StreamEnd::tls_failed:
      return "tls_failed";
    case StreamEnd::reset:
      return "reset";
    case StreamEnd::malformed:
      return "malformed";
    case StreamEnd::timed_out:
      return "timed_out";
    case StreamEnd::cancelled:
      return "cancelled";
  }
  return "";
}

StreamClient::StreamClient(const Url& server, ClientOptions options, StreamObserver& observer)
    : loop_{std::make_unique<Loop>(server, std::move(options), observer)} {}

StreamClient::~StreamClient() = default;

std::size_t StreamClient::open_ahead(std::size_t idle, Seconds within) {
  return loop_->open_ahead(idle, within);
}

StreamId StreamClient::post(std::string_view path, std::string_view json_body,
                            const std::vector<Header>& headers) {
  return loop_->post(path, json_body, headers);
}

void StreamClient::cancel(StreamId id) {
  loop_->cancel(id);
}

void StreamClient::poll(Instant until) {
  loop_->poll(until);
}

void StreamClient::wake() noexcept {
  loop_->wake();
}

std::size_t StreamClient::in_flight() const {
  return loop_->in_flight();
}

Instant StreamClient::ready_since() const {
  return loop_->ready_since();
}

Seconds StreamClient::take_longest_stall() {
  return loop_->take_longest_stall();
}

}  // namespace perwatt::net
