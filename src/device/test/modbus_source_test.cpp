// Against the server that libmodbus itself brings.
#include <atomic>
#include <cstring>
#include <string>
#include <thread>

#include "source_testing.hpp"
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace perwatt::device {
namespace {

using test::everything;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class ModbusServer {
 public:
  ModbusServer()
      : context_{modbus_new_tcp("127.0.0.1", 0)}, registers_{modbus_mapping_new(0, 0, 100, 100)} {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 4);
    socklen_t length = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this] { serve(); }};
  }

  ~ModbusServer() {
    stops_ = true;
    thread_.join();
    ::close(listener_);
    modbus_mapping_free(registers_);
    modbus_free(context_);
  }

  ModbusServer(const ModbusServer&) = delete;
  ModbusServer& operator=(const ModbusServer&) = delete;

  /// Before the first request, or between requests of one thread.
  void holding(int at, std::uint16_t high, std::uint16_t low) {
    registers_->tab_registers[at] = high;
    registers_->tab_registers[at + 1] = low;
  }

  void input(int at, std::uint16_t high, std::uint16_t low) {
    registers_->tab_input_registers[at] = high;
    registers_->tab_input_registers[at + 1] = low;
  }

  void hold_float(int at, float value) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    holding(at, static_cast<std::uint16_t>(bits >> 16U), static_cast<std::uint16_t>(bits));
  }

  void drop_connections() { drops_ = true; }

  std::string text(const std::string& parameters) const {
    return "modbus:127.0.0.1:" + std::to_string(port_) + "?" + parameters;
  }

 private:
  void serve() {
    int peer = -1;
    while (!stops_) {
      pollfd waiting[2] = {{listener_, POLLIN, 0}, {peer, POLLIN, 0}};
      if (drops_.exchange(false) && peer >= 0) {
        ::close(peer);
        peer = -1;
        continue;
      }
      if (::poll(waiting, peer < 0 ? 1 : 2, 10) <= 0) {
        continue;
      }
      if ((waiting[0].revents & POLLIN) != 0) {
        if (peer >= 0) {
          ::close(peer);
        }
        peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        continue;
      }
      std::uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
      modbus_set_socket(context_, peer);
      const int length = modbus_receive(context_, request);
      if (length > 0) {
        modbus_reply(context_, request, length, registers_);
      } else if (length < 0) {
        ::close(peer);
        peer = -1;
      }
    }
    if (peer >= 0) {
      ::close(peer);
    }
  }

  modbus_t* context_;
  modbus_mapping_t* registers_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stops_ = false;
  std::atomic<bool> drops_ = false;
  std::thread thread_;
};

Reading only_reading(const std::string& text) {
  const auto source = test::source(text);
  const auto meters = source->open();
  EXPECT_TRUE(meters.ok()) << meters.reason();
  const auto traces = everything(*source);
  EXPECT_THAT(traces, SizeIs(1));
  EXPECT_THAT(traces.at(0).readings, SizeIs(1));
  return traces[0].readings[0];
}

TEST(ModbusSource, ReadsEachTypeAndWordOrder) {
  ModbusServer server;
  server.holding(10, 0x0001, 0x86A0);  // 100000
  server.holding(20, 0x86A0, 0x0001);
  server.hold_float(30, 412.5F);
  server.input(40, 0x0000, 0x0007);
  server.holding(50, 0x0000, 0x0001);
  server.holding(52, 0x0000, 0x0002);
  const std::string power = "&kind=power&scope=rack";
  EXPECT_EQ(only_reading(server.text("register=10&type=uint32&scale=0.1" + power)).power,
            watts(10000));
  EXPECT_EQ(only_reading(server.text("register=20&type=uint32&order=little" + power)).power,
            watts(100000));
  EXPECT_EQ(only_reading(server.text("register=30&type=float32&unit=7" + power)).power,
            watts(412.5));
  EXPECT_EQ(only_reading(server.text("register=40&type=uint32&table=input" + power)).power,
            watts(7));
  EXPECT_EQ(only_reading(server.text("register=50&type=uint64&kind=energy&scope=rack&scale=3600"))
                .counter,
            Joules::from_base(4294967298.0 * 3600));
}

TEST(ModbusSource, ACounterOf32BitsWraps) {
  ModbusServer server;
  const auto source =
      test::source(server.text("register=0&type=uint32&kind=energy&scope=node&scale=100"));
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  EXPECT_EQ(meters.value()[0].counter_wraps_at, Joules::from_base(429496729600.0));
  EXPECT_EQ(meters.value()[0].scope, Scope::node);
}

TEST(ModbusSource, FailsAndConnectsAnew) {
  auto server = std::make_unique<ModbusServer>();
  server->hold_float(0, 100.0F);
  const auto source = test::source(server->text("register=0&type=float32&kind=power&scope=rack"));
  ASSERT_TRUE(source->open().ok());
  server->hold_float(0, std::numeric_limits<float>::quiet_NaN());
  source->sample();
  server->drop_connections();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  server->hold_float(0, 120.0F);
  source->sample();  // the connection is gone
  source->sample();  // a new one
  auto trace = everything(*source)[0];
  ASSERT_THAT(trace.failures, SizeIs(2));
  EXPECT_THAT(trace.failures[0].reason, HasSubstr("NaN"));
  EXPECT_EQ(trace.readings.back().power, watts(120));
  server.reset();
  source->sample();
  source->sample();
  trace = everything(*source)[0];
  EXPECT_THAT(trace.readings, SizeIs(2));
  EXPECT_THAT(trace.failures, SizeIs(4));
}

TEST(ModbusSource, OpenTellsWhatTheDeviceRefused) {
  ModbusServer server;
  const auto refused =
      test::source(server.text("register=2000&type=uint32&kind=power&scope=rack"))->open();
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.reason(), HasSubstr("register 2000"));
  EXPECT_THAT(refused.reason(), HasSubstr("Illegal data address"));
  EXPECT_FALSE(
      test::source("modbus:127.0.0.1:1?register=0&type=uint32&kind=power&scope=rack")->open().ok());
}

}  // namespace
}  // namespace perwatt::device
