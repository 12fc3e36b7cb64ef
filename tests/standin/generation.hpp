// One answer being generated: its tokens' times, its bytes and its fault.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "connection.hpp"
#include "events.hpp"
#include "service.hpp"
#include "settings.hpp"

namespace standin {

struct GenerationRequest {
  std::size_t index = 0;  // of its record
  bool chat = true;
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;
  bool ignore_eos = false;
  int most_tokens = 16;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t cached_tokens = 0;
  std::uint64_t text_seed = 0;
  std::string answer;  // the whole answer, when the prompt holds one
  std::string model;
  Timing timing;
  Wire wire;
  Fault fault;
  int slots = 0;
};

class Generation final : public Exchange,
                         public Timed,
                         public std::enable_shared_from_this<Generation> {
 public:
  Generation(Service& service, Connection& connection, GenerationRequest request);

  /// A slot is free.
  void admit();

  [[nodiscard]] bool gone() const { return connection_ == nullptr; }

  [[nodiscard]] int slots() const { return request_.slots; }

  void on_due(Nanos due, std::uint64_t ticket) override;
  void on_peer_gone() override;

 private:
  void begin();
  void produce(Nanos due);
  /// Does the fault whose time has come. Returns false when nothing more is to be sent now.
  bool break_stream(Nanos due);
  void send_event(std::string_view json);
  void send_raw(const std::string& events);
  void flush_held();
  void complete();
  void end(Outcome outcome);
  void cut();
  [[nodiscard]] std::string words(int count);
  [[nodiscard]] double jitter();
  [[nodiscard]] Usage usage() const;

  [[nodiscard]] bool is_fault(FaultKind kind) const { return request_.fault.kind == kind; }

  Service& service_;
  Connection* connection_;
  GenerationRequest request_;
  Events events_;
  bool in_slot_ = false;
  bool fault_done_ = false;
  int sent_ = 0;
  int events_sent_ = 0;
  std::uint64_t draws_ = 0;
  std::string held_;  // events of a coalesced chunk
  int held_events_ = 0;
  std::string text_;       // without stream
  std::string reasoning_;  //
};

}  // namespace standin
