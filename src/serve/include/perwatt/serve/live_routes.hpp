// A site over HTTP: a page, its state as JSON, its changes as events, metrics
// (docs/reference/run.md).
//
// Thread rule: everything on the thread of the server.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "perwatt/net/http_server.hpp"
#include "perwatt/serve/live_state.hpp"
#include "perwatt/simulate/site_order.hpp"

namespace perwatt::serve {

class LiveRoutes {
 public:
  /// Called with what people order, node by the site's index.
  using OnOrder = std::function<void(const simulate::SiteOrder&)>;

  LiveRoutes(LiveSite site, std::shared_ptr<const LiveState> first, OnOrder on_order);

  /// Answers every request: 200, 202 for an order, or {"detail": reason} with 400, 403, 404, 405,
  /// 409 or 503.
  void handle(const net::HttpRequest& request, const net::HttpReply& reply);

  /// Shows `state` from now on: an event `state` with what changed to every stream, an event
  /// `event` for all that happened since.
  void publish(std::shared_ptr<const LiveState> state);

  [[nodiscard]] std::size_t streams() const { return streams_.size(); }

 private:
  struct Listener {
    net::HttpStream stream;
    bool needs_all = true;  // all nodes: it is new, or lost events
  };

  void open_stream(const net::HttpReply& reply);
  void take_order(const net::HttpRequest& request, const net::HttpReply& reply) const;
  [[nodiscard]] const std::string& state_json();

  LiveSite site_;
  OnOrder on_order_;
  std::shared_ptr<const LiveState> state_;
  std::int64_t events_told_ = 0;
  std::string state_json_;  // of state_; empty until asked for
  std::vector<Listener> streams_;
};

}  // namespace perwatt::serve
