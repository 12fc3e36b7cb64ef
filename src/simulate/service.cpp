#include "perwatt/simulate/service.hpp"

#include <utility>

#include "service_engine.hpp"

namespace perwatt::simulate {

InferenceService::InferenceService(const ServiceSetup& setup)
    : engine_{std::make_unique<Engine>(setup)} {}

InferenceService::~InferenceService() = default;
InferenceService::InferenceService(InferenceService&&) noexcept = default;
InferenceService& InferenceService::operator=(InferenceService&&) noexcept = default;

void InferenceService::offer(const Request& request) {
  engine_->offer(request);
}

void InferenceService::advance_to(Instant time) {
  engine_->advance_to(time.nanoseconds());
}

Instant InferenceService::now() const {
  return Instant::from_nanoseconds(engine_->now());
}

void InferenceService::set_speed(Pool pool, PhaseSpeed speed) {
  engine_->set_speed(pool, speed);
}

void InferenceService::set_speed(std::size_t instance, PhaseSpeed speed) {
  engine_->set_speed(instance, speed);
}

std::size_t InferenceService::add_instance(Pool pool) {
  return engine_->add_instance(pool);
}

void InferenceService::drain(std::size_t instance) {
  engine_->drain(instance);
}

void InferenceService::pause(std::size_t instance) {
  engine_->pause(instance);
}

void InferenceService::resume(std::size_t instance) {
  engine_->resume(instance);
}

void InferenceService::fail(std::size_t instance) {
  engine_->fail(instance);
}

InstanceState InferenceService::state(std::size_t instance) const {
  return engine_->state(instance);
}

Pool InferenceService::pool_of(std::size_t instance) const {
  return engine_->pool_of(instance);
}

std::size_t InferenceService::instances() const {
  return engine_->instances();
}

std::size_t InferenceService::sequences(std::size_t instance) const {
  return engine_->sequences(instance);
}

Watts InferenceService::gpu_demand(std::size_t instance) const {
  return engine_->gpu_demand(instance);
}

Watts InferenceService::demand(Pool pool) const {
  return engine_->demand(pool);
}

RequestCounts InferenceService::counts() const {
  return engine_->counts();
}

const LatencyRecord& InferenceService::record() const {
  return engine_->record();
}

LatencyRecord InferenceService::take_record() {
  return engine_->take_record();
}

PoolUse InferenceService::take_use(Pool pool) {
  return engine_->take_use(pool);
}

PoolUse InferenceService::take_use(std::size_t instance) {
  return engine_->take_use(instance);
}

ServiceFeed::ServiceFeed(RequestStream stream)
    : stream_{std::move(stream)}, next_{stream_.next()} {}

void ServiceFeed::advance(InferenceService& service, Instant time) {
  while (next_ && next_->arrival <= time) {
    service.offer(*next_);
    next_ = stream_.next();
  }
  service.advance_to(time);
}

}  // namespace perwatt::simulate
