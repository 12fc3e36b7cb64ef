// Power telemetry of the stand-in's GPUs and node, as exporters, a BMC and a PDU would tell it, and
// the ways in which they lie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "connection.hpp"
#include "ledger.hpp"
#include <nlohmann/json_fwd.hpp>

namespace standin {

struct ExporterSettings {
  std::string flavour = "dcgm";             // dcgm, amd, gaudi
  std::string hostname_label = "hostname";  // or "Hostname", or "" for none
  std::string uuid_label = "UUID";          // or "uuid"
  bool counter = true;                      // the energy counter is there
  bool gauge = true;                        // the power gauge is there
  double counter_start_joules = 5.4e8;      // of each GPU when the stand-in started: since boot
  bool wrap_32_bits = false;                // the counter is kept in 32 bits
  double power_window_seconds = 0.1;        // the gauge is the mean over this long
  double collect_seconds = 0.0;             // values stand still for this long; 0: always fresh
  double nan_share = 0.0;                   // of the values
  double noise_ratio = 0.0;                 // standard deviation of the gauge
  int mig_slices = 0;                       // rows per GPU, each with the whole board's energy
  std::vector<int> missing_gpus;            // give no rows
  double gap_seconds = 0.0;                 // from now: answers without any row
  double fail_seconds = 0.0;                // from now: HTTP 500
  double hang_seconds = 0.0;                // from now: no answer; they come when it is over
  double dead_seconds = 0.0;                // from now: connection refused; negative: for ever
  bool truncated = false;                   // the body is cut before its Content-Length
  bool counter_reset = false;               // from now: the counter starts again from 0
};

/// Overwrites what `json` names. Throws std::invalid_argument.
void apply_json(const nlohmann::json& json, ExporterSettings& settings);

class Exporter final : public Handler, public Timed, public std::enable_shared_from_this<Exporter> {
 public:
  Exporter(Loop& loop, Ledger& ledger, ExporterSettings settings, std::uint64_t seed);

  void set_listener(Listener* listener) { listener_ = listener; }

  [[nodiscard]] const ExporterSettings& settings() const { return settings_; }

  /// Starts what counts "from now".
  void set(const ExporterSettings& settings);

  void on_request(Connection& connection, Request request) override;
  void on_due(Nanos due, std::uint64_t ticket) override;

 private:
  struct Row {
    double joules = 0.0;  // of one GPU
    double watts = 0.0;
  };

  void answer(Connection& connection, const std::string& path);
  [[nodiscard]] std::string metrics();
  [[nodiscard]] std::string labels(int gpu, int slice) const;
  [[nodiscard]] Row row();
  [[nodiscard]] std::string value(double number, bool whole);
  [[nodiscard]] Nanos collected() const;
  [[nodiscard]] std::string redfish(const std::string& path);

  Loop& loop_;
  Ledger& ledger_;
  ExporterSettings settings_;
  std::uint64_t seed_;
  std::uint64_t draws_ = 0;
  Listener* listener_ = nullptr;
  Nanos gap_until_ = 0;
  Nanos fail_until_ = 0;
  Nanos hang_until_ = 0;
  Nanos reset_at_ = 0;  // 0: the counter was never reset
  std::vector<std::pair<std::weak_ptr<Connection>, std::string>> hanging_;
};

}  // namespace standin
