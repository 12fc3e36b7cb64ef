#include "perwatt/serve/live_routes.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "live_json.hpp"
#include "live_page.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::serve {

namespace {

constexpr const char* kLiveRoutes = "/, /api/v1/state, /api/v1/advice, /api/v1/events, /metrics";

/// The page runs its own script alone and talks to this server alone.
constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

net::HttpAnswer fresh(std::string body, std::string type) {
  return {200,
          std::move(body),
          std::move(type),
          {{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}}};
}

net::HttpAnswer page_answer() {
  auto answer = fresh(std::string{live_page()}, "text/html; charset=utf-8");
  answer.fields.emplace_back("Content-Security-Policy", kPagePolicy);
  answer.fields.emplace_back("Referrer-Policy", "no-referrer");
  return answer;
}

}  // namespace

LiveRoutes::LiveRoutes(LiveSite site, std::shared_ptr<const LiveState> first)
    : site_{std::move(site)}, state_{std::move(first)} {}

const std::string& LiveRoutes::state_json() {
  if (state_json_.empty()) {
    state_json_ = live_state_json(site_, *state_);
  }
  return state_json_;
}

void LiveRoutes::handle(const net::HttpRequest& request, const net::HttpReply& reply) {
  const auto& path = request.path;
  const bool is_known = path == "/" || path == "/api/v1/state" || path == "/api/v1/advice" ||
                        path == "/api/v1/events" || path == "/metrics";
  if (!is_known) {
    reply.send({404, net::detail_json("there is nothing at '" + printable(path) +
                                      "'; routes: " + kLiveRoutes)});
  } else if (request.method != "GET" && request.method != "HEAD") {
    net::HttpAnswer answer{405,
                           net::detail_json(path + " takes GET, not " + printable(request.method))};
    answer.fields.emplace_back("Allow", "GET, HEAD");
    reply.send(std::move(answer));
  } else if (path == "/") {
    reply.send(page_answer());
  } else if (path == "/api/v1/state") {
    reply.send(fresh(state_json(), "application/json"));
  } else if (path == "/api/v1/advice") {
    reply.send(fresh(live_advice_json(site_, *state_), "application/json"));
  } else if (path == "/metrics") {
    reply.send(fresh(live_metrics(site_, *state_), "text/plain; version=0.0.4; charset=utf-8"));
  } else {
    open_stream(reply);
  }
}

void LiveRoutes::open_stream(const net::HttpReply& reply) {
  const Listener opened{reply.open_stream()};
  const auto all = net::event_text("state", live_change_json(*state_, nullptr));
  if (opened.stream.send(all) == net::HttpStream::Sent::taken) {
    streams_.push_back({opened.stream, false});
  }
}

void LiveRoutes::publish(std::shared_ptr<const LiveState> state) {
  const auto before = std::exchange(state_, std::move(state));
  state_json_.clear();
  std::erase_if(streams_, [](const Listener& one) { return !one.stream.is_open(); });
  std::string news;
  for (const auto& event : state_->events) {
    if (event.number >= events_told_) {
      news += net::event_text("event", live_event_json(event));
      events_told_ = event.number + 1;
    }
  }
  if (streams_.empty()) {
    return;
  }
  const auto change = net::event_text("state", live_change_json(*state_, before.get()));
  std::string all;
  for (auto& [stream, needs_all] : streams_) {
    if (needs_all && all.empty()) {
      all = net::event_text("state", live_change_json(*state_, nullptr));
    }
    needs_all = stream.send((needs_all ? all : change) + news) == net::HttpStream::Sent::lost;
  }
}

}  // namespace perwatt::serve
