// Event streams: any split of the bytes gives the same events.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fuzz_check.hpp"
#include "random_cuts.hpp"

#include "perwatt/net/sse_parser.hpp"

namespace {

using namespace perwatt;

struct Outcome {
  std::vector<std::string> events;
  bool is_within_bound = true;
  bool holds_unfinished = false;

  bool operator==(const Outcome&) const = default;
};

Outcome read(const std::vector<std::string_view>& pieces, std::size_t bound) {
  Outcome outcome;
  net::SseParser parser{bound};
  for (const auto piece : pieces) {
    // Memory of exact size, so that a sanitizer sees reads beyond the padding; what is in the
    // padding must not matter.
    std::vector<char> bytes(piece.begin(), piece.end());
    bytes.resize(bytes.size() + net::kReadablePadding, '\n');
    outcome.is_within_bound =
        parser.feed({bytes.data(), piece.size()}, [&](std::string_view event) {
          fuzz::demand(event.size() <= bound, "an event beyond the bound");
          volatile char last = event.data()[event.size() + net::kReadablePadding - 1];
          static_cast<void>(last);
          outcome.events.emplace_back(event);
        });
  }
  outcome.holds_unfinished = outcome.is_within_bound && parser.holds_unfinished();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  for (const std::size_t bound : {40U, 1U << 20}) {
    const auto whole = read({bytes}, bound);
    for (const std::size_t mean_bytes : {1U, 3U, 20U, 300U}) {
      fuzz::demand(read(fuzz::random_pieces(bytes, mean_bytes), bound) == whole,
                   "a split gives other events");
    }
  }
  return 0;
}
