#include "perwatt/serve/live_routes.hpp"

#include <future>
#include <string>
#include <thread>

#include "live_json.hpp"
#include "live_page.hpp"
#include "live_sites.hpp"
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "perwatt/net/fetch.hpp"

namespace perwatt::serve {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// Bytes from and to a server.
class LiveCaller {
 public:
  explicit LiveCaller(const std::string& url) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval patience{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }

  ~LiveCaller() { ::close(socket_); }

  LiveCaller(const LiveCaller&) = delete;
  LiveCaller& operator=(const LiveCaller&) = delete;

  /// The whole answer, or up to `end`.
  std::string ask(const std::string& method, const std::string& path, const std::string& end = "") {
    return send(method + " " + path + " HTTP/1.1\r\nConnection: close\r\n\r\n", end);
  }

  std::string post(const std::string& path, const std::string& body,
                   const std::string& host = "127.0.0.1:8600",
                   const std::string& type = "application/json; charset=utf-8") {
    return send("POST " + path + " HTTP/1.1\r\nConnection: close\r\nHost: " + host +
                    "\r\nContent-Type: " + type +
                    "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
                "");
  }

  std::string send(const std::string& bytes, const std::string& end) {
    EXPECT_EQ(::send(socket_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    return read(end);
  }

  std::string read(const std::string& end) {
    std::string text;
    char byte = 0;
    while ((end.empty() || !text.ends_with(end)) && ::recv(socket_, &byte, 1, 0) == 1) {
      text += byte;
    }
    return text;
  }

 private:
  int socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
};

class LiveRoutesTest : public ::testing::Test {
 protected:
  ~LiveRoutesTest() override {
    server_.stop();
    thread_.join();
  }

  std::string ask(const std::string& method, const std::string& path) {
    return LiveCaller{server_.url()}.ask(method, path);
  }

  void publish(std::int64_t number, double rack_draw_watts) {
    std::promise<void> done;
    server_.post([&] {
      routes_.publish(shared_state(number, rack_draw_watts));
      done.set_value();
    });
    done.get_future().wait();
  }

  std::size_t streams() {
    std::promise<std::size_t> done;
    server_.post([&] { done.set_value(routes_.streams()); });
    return done.get_future().get();
  }

  std::vector<simulate::SiteOrder> orders_;  // of the thread of the server
  LiveRoutes routes_{made_up_site(), shared_state(0, 400),
                     [this](const simulate::SiteOrder& order) { orders_.push_back(order); }};
  net::HttpServer server_{{}, [this](const net::HttpRequest& request, const net::HttpReply& reply) {
                            routes_.handle(request, reply);
                          }};
  std::thread thread_{[this] { server_.run(); }};
};

TEST_F(LiveRoutesTest, GivesAPageThatLoadsNothingElse) {
  const auto page = ask("GET", "/");
  EXPECT_THAT(
      page, AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Content-Type: text/html; charset=utf-8"),
                  HasSubstr("Cache-Control: no-store"),
                  HasSubstr("Content-Security-Policy: default-src 'none';"), HasSubstr("simulated"),
                  EndsWith("</html>\n")));
  EXPECT_THAT(std::string{live_page()},
              AllOf(Not(HasSubstr("http:")), Not(HasSubstr("https:")), Not(HasSubstr("src=")),
                    Not(HasSubstr("innerHTML")), Not(HasSubstr("eval("))));
}

TEST_F(LiveRoutesTest, GivesItsState) {
  net::Fetcher fetcher{{}};
  const auto got = fetcher.fetch(server_.url() + "/api/v1/state");
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got.value().content_type, "application/json");
  const auto state = json::parse(got.value().body);
  EXPECT_EQ(state["mode"], "simulated");
  EXPECT_EQ(state["policy"], "perwatt");
  EXPECT_EQ(state["speed_ratio"], 10);
  EXPECT_EQ(state["duration_seconds"], 600);
  EXPECT_EQ(state["is_over"], false);
  const auto& root = state["nodes"][0];
  EXPECT_EQ(root["id"], "ro\"ot\\\n");
  EXPECT_EQ(root["kind"], "utility");
  EXPECT_TRUE(root["parent"].is_null());
  EXPECT_EQ(root["draw_watts"], 1000);
  EXPECT_EQ(root["cap_watts"], 900);
  EXPECT_EQ(root["at_caps_watts"], 1500);
  EXPECT_EQ(root["limit_watts"], 2000);
  EXPECT_EQ(root["headroom_watts"], 1000);
  EXPECT_EQ(root["devices"],
            json({{"count", 2}, {"on_count", 2}, {"draw_watts", 600}, {"cap_watts", 900}}));
  EXPECT_EQ(state["nodes"][1]["parent"], root["id"]);
  EXPECT_TRUE(state["nodes"][1]["limit_watts"].is_null());
  EXPECT_TRUE(state["nodes"][1]["headroom_watts"].is_null());
  EXPECT_EQ(state["totals"]["facility_watts"], 1000);
  EXPECT_EQ(state["totals"]["good_tokens_per_s"], 40);
  EXPECT_EQ(state["totals"]["output_tokens_per_s"], 50);
  EXPECT_EQ(state["totals"]["usd_per_hour"], 7);
  EXPECT_EQ(state["totals"]["facility_joules"], 12345);
  EXPECT_EQ(state["history"]["facility_watts"], json::array({1000}));
  publish(2, 400);
  const auto later = json::parse(fetcher.fetch(server_.url() + "/api/v1/state").value().body);
  EXPECT_EQ(later["time_seconds"], 20);
  EXPECT_EQ(later["events"][1], json({{"number", 1}, {"time_seconds", 1}, {"text", "event 1"}}));
}

TEST_F(LiveRoutesTest, StreamsChangesAndEvents) {
  LiveCaller caller{server_.url()};
  const auto data_of = [&](const std::string& name) {
    caller.read("event: " + name + "\ndata: ");
    return json::parse(caller.read("\n"));
  };
  caller.ask("GET", "/api/v1/events", "\r\n\r\n");
  const auto all = data_of("state");
  EXPECT_EQ(all["nodes"]["index"], json::array({0, 1})) << "a new caller gets all nodes";
  EXPECT_EQ(all["nodes"]["limit_watts"], json::array({2000, nullptr}));
  publish(1, 450.4);
  const auto change = data_of("state");
  EXPECT_EQ(change["number"], 1);
  EXPECT_EQ(change["time_seconds"], 10);
  EXPECT_EQ(change["nodes"]["index"], json::array({1}));
  EXPECT_EQ(change["nodes"]["draw_watts"], json::array({450}));
  EXPECT_EQ(change["totals"]["facility_watts"], 1000);
  EXPECT_EQ(data_of("event")["text"], "event 0");
  publish(2, 450.1);
  EXPECT_TRUE(data_of("state")["nodes"]["index"].empty()) << "nothing that is told has changed";
  EXPECT_EQ(data_of("event")["text"], "event 1");
  EXPECT_EQ(streams(), 1U);
}

TEST_F(LiveRoutesTest, ForgetsStreamsThatAreGone) {
  {
    LiveCaller caller{server_.url()};
    caller.ask("GET", "/api/v1/events", "\n\n");
    EXPECT_EQ(streams(), 1U);
  }
  for (int i = 0; i < 10000 && streams() == 1; ++i) {
    publish(0, 400);
  }
  EXPECT_EQ(streams(), 0U);
}

TEST_F(LiveRoutesTest, GivesMetrics) {
  const auto text = ask("GET", "/metrics");
  EXPECT_THAT(
      text,
      AllOf(
          HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8"),
          HasSubstr("# TYPE perwatt_node_draw_watts gauge\n"
                    "perwatt_node_draw_watts{node=\"ro\\\"ot\\\\\\n\",kind=\"utility\"} 1000\n"
                    "perwatt_node_draw_watts{node=\"rack\",kind=\"rack\"} 400\n"),
          HasSubstr("perwatt_node_headroom_watts{node=\"ro\\\"ot\\\\\\n\",kind=\"utility\"} 1000"),
          HasSubstr("\nperwatt_good_tokens_per_second 40\n"),
          HasSubstr("\nperwatt_revenue_usd_per_hour 7\n"),
          HasSubstr("\nperwatt_output_tokens_total 500\n"),
          HasSubstr("\nperwatt_facility_joules_total 12345\n")));
  EXPECT_THAT(text, Not(HasSubstr("perwatt_node_limit_watts{node=\"rack\"")));
}

TEST_F(LiveRoutesTest, RefusesOtherPathsAndMethods) {
  EXPECT_THAT(ask("GET", "/nothing"), AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("/metrics")));
  EXPECT_THAT(ask("POST", "/api/v1/state"),
              AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: GET, HEAD")));
  EXPECT_THAT(ask("POST", "/api/v1/events"), StartsWith("HTTP/1.1 405"));
  for (const std::string path : {"/", "/api/v1/state", "/api/v1/events", "/metrics"}) {
    EXPECT_THAT(ask("HEAD", path), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("\r\n\r\n"))) << path;
  }
  EXPECT_EQ(streams(), 0U);
}

TEST_F(LiveRoutesTest, TakesOrders) {
  const auto post = [&](const auto&... words) { return LiveCaller{server_.url()}.post(words...); };
  EXPECT_THAT(post("/api/v1/maintenance", R"({"node":"rack","is_on":true})"),
              StartsWith("HTTP/1.1 202"));
  EXPECT_THAT(post("/api/v1/release", R"({"is_on":false})", "localhost"),
              StartsWith("HTTP/1.1 202"));
  EXPECT_THAT(post("/api/v1/release", R"({"is_on":true})", "[::1]:8600"),
              StartsWith("HTTP/1.1 202"));
  ASSERT_EQ(orders_.size(), 3U);
  EXPECT_EQ(orders_[0].kind, simulate::OrderKind::maintain);
  EXPECT_EQ(orders_[0].node.value, 1U);
  EXPECT_TRUE(orders_[0].is_on);
  EXPECT_EQ(orders_[1].kind, simulate::OrderKind::release);
  EXPECT_FALSE(orders_[1].is_on);
}

TEST_F(LiveRoutesTest, RefusesWhatIsNoOrderOrNotFromHere) {
  const auto post = [&](const auto&... words) { return LiveCaller{server_.url()}.post(words...); };
  const std::string release = R"({"is_on":true})";
  EXPECT_THAT(ask("GET", "/api/v1/release"),
              AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: POST")));
  for (const std::string host : {"example.org", "localhost.example.org", "10.0.0.1", ""}) {
    EXPECT_THAT(post("/api/v1/release", release, host), StartsWith("HTTP/1.1 403")) << host;
  }
  EXPECT_THAT(post("/api/v1/release", release, "localhost", "text/plain"),
              StartsWith("HTTP/1.1 400"));
  for (const std::string body :
       {"", "{", "[]", "{}", R"({"is_on":1})", R"({"is_on":true,"a":1})"}) {
    EXPECT_THAT(post("/api/v1/release", body), StartsWith("HTTP/1.1 400")) << body;
  }
  for (const std::string body : {R"({"is_on":true})", R"({"node":1,"is_on":true})"}) {
    EXPECT_THAT(post("/api/v1/maintenance", body), StartsWith("HTTP/1.1 400")) << body;
  }
  EXPECT_THAT(post("/api/v1/maintenance", R"({"node":"rak","is_on":true})"),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("did you mean 'rack'")));
  EXPECT_TRUE(orders_.empty());
}

TEST(LiveRoutes, AreNotOrderedWherePerwattHasNoControl) {
  auto site = made_up_site();
  site.takes_orders = false;
  int orders = 0;
  LiveRoutes routes{site, shared_state(0, 400), [&](const simulate::SiteOrder&) { ++orders; }};
  net::HttpServer server{{}, [&](const net::HttpRequest& request, const net::HttpReply& reply) {
                           routes.handle(request, reply);
                         }};
  std::thread thread{[&] { server.run(); }};
  EXPECT_THAT(LiveCaller{server.url()}.post("/api/v1/release", R"({"is_on":true})"),
              StartsWith("HTTP/1.1 409"));
  server.stop();
  thread.join();
  EXPECT_EQ(orders, 0);
}

}  // namespace
}  // namespace perwatt::serve
