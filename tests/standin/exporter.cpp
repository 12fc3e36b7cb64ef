#include "exporter.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <stdexcept>
#include <utility>

#include "settings.hpp"
#include <nlohmann/json.hpp>

namespace standin {
namespace {

using nlohmann::json;

enum ExporterTicket : std::uint64_t { revive, answer_hanging };

std::string decimal(double value) {
  std::array<char, 64> text;
  const int size = std::snprintf(text.data(), text.size(), "%.6f", value);
  return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace

void apply_json(const json& object, ExporterSettings& settings) {
  Keys keys(object, "exporter");
  keys.take("flavour", settings.flavour);
  keys.take("hostname_label", settings.hostname_label);
  keys.take("uuid_label", settings.uuid_label);
  keys.take("counter", settings.counter);
  keys.take("gauge", settings.gauge);
  keys.take("counter_start_joules", settings.counter_start_joules);
  keys.take("wrap_32_bits", settings.wrap_32_bits);
  keys.take("power_window_seconds", settings.power_window_seconds);
  keys.take("collect_seconds", settings.collect_seconds);
  keys.take("nan_share", settings.nan_share);
  keys.take("noise_ratio", settings.noise_ratio);
  keys.take("mig_slices", settings.mig_slices);
  keys.take("missing_gpus", settings.missing_gpus);
  keys.take("gap_seconds", settings.gap_seconds);
  keys.take("fail_seconds", settings.fail_seconds);
  keys.take("hang_seconds", settings.hang_seconds);
  keys.take("dead_seconds", settings.dead_seconds);
  keys.take("truncated", settings.truncated);
  keys.take("counter_reset", settings.counter_reset);
  keys.finish();
  if (settings.flavour != "dcgm" && settings.flavour != "amd" && settings.flavour != "gaudi") {
    throw std::invalid_argument("no such flavour: " + settings.flavour);
  }
}

Exporter::Exporter(Loop& loop, Ledger& ledger, ExporterSettings settings, std::uint64_t seed)
    : loop_(loop), ledger_(ledger), settings_(std::move(settings)), seed_(seed) {}

void Exporter::set(const ExporterSettings& settings) {
  settings_ = settings;
  const Nanos present = now();
  const auto from_now = [present](double& seconds, Nanos& until) {
    until = seconds > 0 ? present + nanos_of(seconds) : until;
    seconds = 0;
  };
  from_now(settings_.gap_seconds, gap_until_);
  from_now(settings_.fail_seconds, fail_until_);
  if (settings_.hang_seconds > 0) {
    from_now(settings_.hang_seconds, hang_until_);
    loop_.at(hang_until_, weak_from_this(), answer_hanging);
  }
  if (std::exchange(settings_.counter_reset, false)) {
    reset_at_ = present;
  }
  const double dead = std::exchange(settings_.dead_seconds, 0.0);
  if (dead != 0 && listener_ != nullptr) {
    listener_->go_dead();
    if (dead > 0) {
      loop_.at(present + nanos_of(dead), weak_from_this(), revive);
    }
  }
}

void Exporter::on_due(Nanos /*due*/, std::uint64_t ticket) {
  if (ticket == revive) {
    listener_->come_alive();
    return;
  }
  for (const auto& [waiting, path] : std::exchange(hanging_, {})) {
    if (const std::shared_ptr<Connection> connection = waiting.lock()) {
      answer(*connection, path);
    }
  }
}

void Exporter::on_request(Connection& connection, Request request) {
  if (now() < hang_until_) {
    hanging_.emplace_back(connection.weak_from_this(), request.path);
    return;
  }
  answer(connection, request.path);
}

void Exporter::answer(Connection& connection, const std::string& path) {
  if (now() < fail_until_) {
    connection.respond(500, "text/plain", "collection failed\n");
    return;
  }
  std::string type = "application/json";
  std::string body;
  if (path == "/metrics") {
    type = "text/plain; version=0.0.4; charset=utf-8";
    body = metrics();
  } else if (path == "/pdu") {
    const Entry entry = ledger_.at(collected());
    const EnergyModel& model = ledger_.model();
    const double node = row().watts * model.gpus + model.host_watts;
    body = json{{"outlet", "node-1"},
                {"power_watts", node},
                {"energy_joules", entry.joules + entry.host_joules},
                {"energy_kwh", (entry.joules + entry.host_joules) / 3.6e6}}
               .dump();
  } else {
    body = redfish(path);
  }
  if (body.empty()) {
    connection.respond(404, type, "{}");
    return;
  }
  if (settings_.truncated) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body.substr(0, body.size() / 2));
    connection.close_when_sent();
    return;
  }
  connection.respond(200, type, body);
}

Nanos Exporter::collected() const {
  const Nanos present = now();
  const Nanos interval = nanos_of(settings_.collect_seconds);
  return interval <= 0 ? present
                       : ledger_.started() + (present - ledger_.started()) / interval * interval;
}

Exporter::Row Exporter::row() {
  const Nanos at = collected();
  const int gpus = ledger_.model().gpus;
  Row row;
  const double since_start = ledger_.at(at).joules / gpus;
  row.joules = reset_at_ > 0 && at >= reset_at_ ? since_start - ledger_.at(reset_at_).joules / gpus
                                                : settings_.counter_start_joules + since_start;
  const double radius =
      std::sqrt(-2 * std::log(1 - uniform(seed_, ++draws_, 1))) * settings_.noise_ratio;
  const double noise = radius * std::cos(2 * std::numbers::pi * uniform(seed_, draws_, 2));
  row.watts =
      ledger_.watts(at, nanos_of(settings_.power_window_seconds)) / gpus * std::max(0.0, 1 + noise);
  return row;
}

std::string Exporter::value(double number, bool whole) {
  if (uniform(seed_, ++draws_, 3) < settings_.nan_share) {
    return "NaN";
  }
  if (!whole) {
    return decimal(number);
  }
  auto count = static_cast<std::uint64_t>(std::llround(number));
  if (settings_.wrap_32_bits) {
    count &= 0xFFFF'FFFFU;
  }
  return std::to_string(count);
}

std::string Exporter::labels(int gpu, int slice) const {
  const std::string index = std::to_string(gpu);
  const std::string id = "5a1d0000-0000-4000-8000-00000000000" + index;
  std::string text;
  if (settings_.flavour == "amd") {
    text = "gpu_id=\"" + index + "\",serial_number=\"SN-" + index +
           "\",card_model=\"Stand-in MI\",gpu_uuid=\"" + id + "\",gpu_partition_id=\"" +
           std::to_string(std::max(0, slice)) + "\"";
  } else if (settings_.flavour == "gaudi") {
    text = "Serial=\"SN-" + index + "\",UUID=\"" + id + "\",device=\"SN-" + index + "\",id=\"" +
           index + "\"";
  } else {
    text = "gpu=\"" + index + "\"," + settings_.uuid_label + "=\"GPU-" + id +
           "\",pci_bus_id=\"00000000:0" + index + ":00.0\",device=\"nvidia" + index +
           "\",modelName=\"Stand-in GPU\"";
    if (slice >= 0) {
      text += ",GPU_I_PROFILE=\"1g.10gb\",GPU_I_ID=\"" + std::to_string(slice + 7) + "\"";
    }
  }
  if (!settings_.hostname_label.empty() && settings_.flavour != "gaudi") {
    text += "," + settings_.hostname_label + "=\"standin-node\"";
  }
  return text;
}

std::string Exporter::metrics() {
  struct Family {
    std::string name;
    std::string type;
    std::string help;
    bool energy;
    double scale;  // from joules or watts
    bool whole;
  };

  std::vector<Family> families;
  if (settings_.flavour == "amd") {
    families = {{"gpu_package_power", "gauge", "Current socket power in watts", false, 1, true},
                {"gpu_energy_consumed", "gauge", "Energy in microjoules", true, 1e6, true}};
  } else if (settings_.flavour == "gaudi") {
    families = {{"habanalabs_power_mW", "gauge", "", false, 1e3, true},
                {"habanalabs_energy", "gauge", "", true, 1e3, true}};
  } else {
    families = {{"DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W).", false, 1, false},
                {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter",
                 "Total energy consumption since boot (in mJ).", true, 1e3, true}};
  }
  const bool gap = now() < gap_until_;
  const Row reading = row();
  std::string text;
  for (const Family& family : families) {
    if (!(family.energy ? settings_.counter : settings_.gauge)) {
      continue;
    }
    text += "# HELP " + family.name + " " + family.help + "\n# TYPE " + family.name + " " +
            family.type + "\n";
    const double number = (family.energy ? reading.joules : reading.watts) * family.scale;
    for (int gpu = 0; gpu < ledger_.model().gpus && !gap; ++gpu) {
      if (std::count(settings_.missing_gpus.begin(), settings_.missing_gpus.end(), gpu) > 0) {
        continue;
      }
      for (int slice = settings_.mig_slices > 0 ? 0 : -1; slice < std::max(settings_.mig_slices, 0);
           ++slice) {
        text += family.name + "{" + labels(gpu, slice) + "} " + value(number, family.whole) + "\n";
      }
    }
  }
  return text;
}

std::string Exporter::redfish(const std::string& path) {
  const std::string chassis = "/redfish/v1/Chassis";
  const Entry entry = ledger_.at(collected());
  const EnergyModel& model = ledger_.model();
  const double watts = row().watts * model.gpus + model.host_watts;
  const double joules = entry.joules + entry.host_joules;
  if (path == chassis) {
    return json{{"@odata.id", chassis},
                {"Members", {{{"@odata.id", chassis + "/1"}}}},
                {"Members@odata.count", 1}}
        .dump();
  }
  if (path == chassis + "/1") {
    return json{{"@odata.id", path},
                {"Id", "1"},
                {"Name", "Stand-in node"},
                {"ChassisType", "RackMount"},
                {"Power", {{"@odata.id", path + "/Power"}}},
                {"EnvironmentMetrics", {{"@odata.id", path + "/EnvironmentMetrics"}}}}
        .dump();
  }
  if (path == chassis + "/1/Power") {
    return json{{"@odata.id", path},
                {"PowerControl",
                 {{{"MemberId", "0"},
                   {"Name", "System Power Control"},
                   {"PowerConsumedWatts", watts},
                   {"PowerCapacityWatts", 10000}}}}}
        .dump();
  }
  if (path == chassis + "/1/EnvironmentMetrics") {
    return json{{"@odata.id", path},
                {"PowerWatts", {{"Reading", watts}}},
                {"EnergykWh", {{"Reading", joules / 3.6e6}}},
                {"EnergyJoules", {{"Reading", joules}}}}
        .dump();
  }
  return {};
}

}  // namespace standin
