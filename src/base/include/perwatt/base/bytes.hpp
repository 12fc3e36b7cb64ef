// Exact bytes of numbers, least significant first: for files and messages that keep every bit.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt {

static_assert(std::endian::native == std::endian::little, "the bytes are little-endian");

class ByteWriter {
 public:
  /// REQUIRES: T is of the same size on every platform.
  template <class T>
  void put(T value) {
    static_assert(std::is_arithmetic_v<T>);
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes_.append(raw, sizeof value);
  }

  void put(Watts power) { put(power.in_base()); }

  void put(Seconds time) { put(time.in_base()); }

  void put(Instant at) { put(at.nanoseconds()); }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }

  [[nodiscard]] std::string take() { return std::exchange(bytes_, {}); }

  void clear() { bytes_.clear(); }

 private:
  std::string bytes_;
};

/// Throws Error(bad_input) naming `where`, with `remedy`, when it ends too early.
class ByteReader {
 public:
  ByteReader(std::string_view bytes, std::string where, std::string remedy)
      : left_{bytes}, where_{std::move(where)}, remedy_{std::move(remedy)} {}

  template <class T>
  T get() {
    static_assert(std::is_arithmetic_v<T>);
    if (left_.size() < sizeof(T)) {
      fail("it is cut short");
    }
    T value;
    std::memcpy(&value, left_.data(), sizeof(T));
    left_.remove_prefix(sizeof(T));
    return value;
  }

  Watts watts() { return Watts::from_base(get<double>()); }

  Seconds seconds() { return Seconds::from_base(get<double>()); }

  Instant instant() { return Instant::from_nanoseconds(get<std::int64_t>()); }

  /// Below `bound`.
  std::uint32_t index(std::size_t bound) {
    const auto value = get<std::uint32_t>();
    if (value >= bound) {
      fail("it names number " + std::to_string(value) + " of " + std::to_string(bound));
    }
    return value;
  }

  /// How many things of `size` bytes follow, by a count that the bytes left can hold.
  std::uint32_t count(std::size_t size) {
    const auto value = get<std::uint32_t>();
    if (value > left_.size() / size) {
      fail("it is cut short");
    }
    return value;
  }

  /// All that is left.
  std::string_view rest() { return std::exchange(left_, {}); }

  [[nodiscard]] bool is_at_end() const { return left_.empty(); }

  [[noreturn]] void fail(const std::string& what_is_wrong) const {
    throw_bad_input(what_is_wrong, where_, remedy_);
  }

 private:
  std::string_view left_;
  std::string where_;
  std::string remedy_;
};

}  // namespace perwatt
