#include "perwatt/serve/live_routes.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "live_json.hpp"
#include "live_page.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/json_node.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::serve {

namespace {

constexpr const char* kLiveRoutes =
    "/, /api/v1/state, /api/v1/advice, /api/v1/events, /api/v1/maintenance, "
    "/api/v1/release, /metrics";

/// The page runs its own script alone and talks to this server alone.
constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

net::HttpAnswer fresh(std::string body, std::string type, int status = 200) {
  return {status,
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

bool is_order_path(std::string_view path) {
  return path == "/api/v1/maintenance" || path == "/api/v1/release";
}

bool is_json_type(std::string_view type) {
  return lower_case(trimmed(type.substr(0, type.find(';')))) == "application/json";
}

/// {"is_on": true}, of maintenance with "node" too. Throws Error(bad_input) for anything else.
simulate::SiteOrder parse_order(const net::HttpRequest& request, const LiveSite& site) {
  const auto order = Json::parse(request.body, nullptr, false);
  const bool is_release = request.path == "/api/v1/release";
  const char* const wanted =
      is_release ? "send {\"is_on\": true}" : "send {\"node\": \"ID\", \"is_on\": true}";
  const std::size_t members = is_release ? 1 : 2;
  if (!order.is_object() || order.size() != members || !order.contains("is_on") ||
      !order["is_on"].is_boolean() || (!is_release && !order.contains("node"))) {
    throw_bad_input("it is no order", request.path, wanted);
  }
  simulate::SiteOrder made;
  made.is_on = order["is_on"].get<bool>();
  if (is_release) {
    made.kind = simulate::OrderKind::release;
    return made;
  }
  if (!order["node"].is_string()) {
    throw_bad_input("its node is no text", request.path, wanted);
  }
  const auto id = order["node"].get<std::string>();
  std::vector<std::string> known;
  for (std::uint32_t n = 0; n < site.nodes.size(); ++n) {
    if (site.nodes[n].id == id) {
      made.node = {n};
      return made;
    }
    known.push_back(site.nodes[n].id);
  }
  throw_bad_input("'" + printable(id) + "' is no node of the site", request.path,
                  suggestion(id, known));
}

}  // namespace

LiveRoutes::LiveRoutes(LiveSite site, std::shared_ptr<const LiveState> first, OnOrder on_order)
    : site_{std::move(site)}, on_order_{std::move(on_order)}, state_{std::move(first)} {}

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
  if (is_order_path(path)) {
    take_order(request, reply);
    return;
  }
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

void LiveRoutes::take_order(const net::HttpRequest& request, const net::HttpReply& reply) const {
  const auto refuse = [&](int status, const std::string& reason) {
    reply.send({status, net::detail_json(reason)});
  };
  if (request.method != "POST") {
    net::HttpAnswer answer{
        405, net::detail_json(request.path + " takes POST, not " + printable(request.method))};
    answer.fields.emplace_back("Allow", "POST");
    reply.send(std::move(answer));
  } else if (!request.is_local) {
    refuse(403, "orders are taken from this machine alone, at a loopback address");
  } else if (!is_json_type(request.content_type)) {
    refuse(400, "send Content-Type: application/json");  // which no page of another site can
  } else if (!site_.takes_orders) {
    refuse(409, "the site is not under perwatt's control: there is nothing to order");
  } else {
    try {
      on_order_(parse_order(request, site_));
      reply.send(fresh("{\"is_taken\":true}", "application/json", 202));
    } catch (const Error& problem) {
      refuse(400, problem.what());
    }
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
