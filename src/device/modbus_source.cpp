// A meter on Modbus TCP: one quantity in one or two pairs of 16-bit registers.
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdint>

#include "sources.hpp"
#include "trace_store.hpp"
#include <modbus/modbus.h>

#include "perwatt/base/text.hpp"

namespace perwatt::device {

namespace {

constexpr std::string_view kModbusExample =
    "modbus:HOST:502?register=N&type=uint32|uint64|float32&kind=power|energy&scope=rack";
constexpr std::int64_t kHighestRegister = 65535;
constexpr std::int64_t kHighestUnit = 247;
constexpr std::int64_t kHighestPort = 65535;

struct Address {
  std::string host;
  std::string port;
};

Address address_of(const SourceText& text) {
  const auto& target = text.require_target(std::string{kModbusExample});
  const auto colon = target.rfind(':');
  const auto port = colon == std::string::npos
                        ? std::nullopt
                        : parse_integer(std::string_view{target}.substr(colon + 1));
  if (!port || *port < 1 || *port > kHighestPort || colon == 0) {
    text.refuse("'" + printable(target) + "' is no HOST:PORT",
                "write " + std::string{kModbusExample});
  }
  auto host = target.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  return {host, std::to_string(*port)};
}

enum class RegisterType { uint32, uint64, float32 };

RegisterType type_of(SourceText& text) {
  const auto name = text.choice("type", {"uint32", "uint64", "float32"}, false);
  return name == "uint32"   ? RegisterType::uint32
         : name == "uint64" ? RegisterType::uint64
                            : RegisterType::float32;
}

struct FreeModbus {
  void operator()(modbus_t* context) const {
    modbus_close(context);
    modbus_free(context);
  }
};

class ModbusSource : public PowerSource {
 public:
  ModbusSource(SourceText& text, const SourceOptions& options)
      : address_{address_of(text)},
        unit_{static_cast<int>(text.integer("unit", 0, kHighestUnit, 1))},
        register_{static_cast<int>(text.integer("register", 0, kHighestRegister, {}))},
        type_{type_of(text)},
        is_input_{text.choice("table", {"holding", "input"}, true) == "input"},
        is_little_{text.choice("order", {"big", "little"}, true) == "little"},
        kind_{text.metered_kind()},
        scope_{text.scope(std::nullopt)},
        scale_{text.scale()},
        timeout_{options.timeout},
        store_{text.whole(), text.accuracy()} {
    const int words = type_ == RegisterType::uint64 ? 4 : 2;
    if (register_ + words - 1 > kHighestRegister) {
      text.refuse("the value would end behind register 65535", "check register=");
    }
  }

  Result<std::vector<Meter>> open() override {
    const auto reading = look();
    if (!reading) {
      return Failure{reading.reason()};
    }
    Meter meter;
    meter.host = address_.host;
    meter.device = name();
    meter.scope = scope_;
    if (kind_ == MeteredKind::energy && type_ == RegisterType::uint32) {
      constexpr double kValues = 4294967296.0;
      meter.counter_wraps_at = Joules::from_base(kValues * scale_);
    }
    store_.add_reading(store_.add_meter(std::move(meter)), reading.value(), {});
    return store_.meters();
  }

  void sample() override { store_.add_look(0, look()); }

  std::vector<MeterTrace> traces(Instant from, Instant to) override {
    return store_.traces(from, to);
  }

 private:
  [[nodiscard]] std::string name() const {
    return "modbus " + address_.host + ":" + address_.port + " unit " + std::to_string(unit_) +
           " register " + std::to_string(register_);
  }

  [[nodiscard]] Failure failed(const std::string& doing) const {
    return Failure{name() + ": " + doing + ": " + modbus_strerror(errno)};
  }

  /// Half of the timeout for connecting and half for the answer.
  Result<bool> connect() {
    if (connection_) {
      return true;
    }
    connection_.reset(modbus_new_tcp_pi(address_.host.c_str(), address_.port.c_str()));
    if (!connection_) {
      return failed("no memory");
    }
    const auto microseconds = static_cast<std::uint32_t>(in_seconds(timeout_) / 2 * 1e6);
    modbus_set_response_timeout(connection_.get(), microseconds / 1'000'000,
                                microseconds % 1'000'000);
    modbus_set_slave(connection_.get(), unit_);
    if (modbus_connect(connection_.get()) != 0) {
      const auto failure = failed("connecting");
      connection_.reset();
      return failure;
    }
    return true;
  }

  Result<Reading> look() {
    const auto connected = connect();
    if (!connected) {
      return Failure{connected.reason()};
    }
    std::array<std::uint16_t, 4> words{};
    const int count = type_ == RegisterType::uint64 ? 4 : 2;
    const auto asked = Instant::now();
    const auto read = is_input_ ? modbus_read_input_registers : modbus_read_registers;
    if (read(connection_.get(), register_, count, words.data()) != count) {
      const auto failure = failed("reading");
      connection_.reset();  // what is still under way must not answer the next question
      return failure;
    }
    const auto answered = Instant::now();
    const auto raw = value_of(words, count);
    const auto value = metered(std::isfinite(raw) ? std::optional{raw} : std::nullopt, scale_);
    if (!value) {
      return Failure{name() + " holds NaN, an infinity or a negative value"};
    }
    Reading reading{asked + (answered - asked) / 2, {}, {}};
    if (kind_ == MeteredKind::power) {
      reading.power = watts(*value);
    } else {
      reading.counter = Joules::from_base(*value);
    }
    return reading;
  }

  [[nodiscard]] double value_of(const std::array<std::uint16_t, 4>& words, int count) const {
    std::uint64_t bits = 0;
    for (int i = 0; i < count; ++i) {
      const int at = is_little_ ? count - 1 - i : i;
      bits = (bits << 16U) | words[static_cast<std::size_t>(at)];
    }
    if (type_ == RegisterType::float32) {
      return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    }
    return static_cast<double>(bits);
  }

  Address address_;
  int unit_;
  int register_;
  RegisterType type_;
  bool is_input_;
  bool is_little_;
  MeteredKind kind_;
  Scope scope_;
  double scale_;
  Seconds timeout_;
  TraceStore store_;
  std::unique_ptr<modbus_t, FreeModbus> connection_;
};

}  // namespace

SourcePointer make_modbus_source(SourceText& text, const SourceOptions& options) {
  return std::make_unique<ModbusSource>(text, options);
}

}  // namespace perwatt::device
