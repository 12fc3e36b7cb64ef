// Bytes on their way through parsers: a borrowed callable that takes each piece without an
// allocation, and what may be read behind a piece.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace perwatt::net {

/// Bytes that may be read (not used) behind every view that parsers and clients hand out, so that a
/// SIMD reader need not copy.
inline constexpr std::size_t kReadablePadding = 64;

/// Refers to a callable that takes a std::string_view; valid as long as that callable is. For
/// parameters only: never keep one.
class BytesSink {
 public:
  template <class Callable>

  requires(!std::is_same_v<std::remove_cvref_t<Callable>, BytesSink> &&
           std::is_invocable_v<Callable&, std::string_view>)
      BytesSink(Callable&& callable)  // NOLINT(google-explicit-constructor,
                                      // bugprone-forwarding-reference-overload)
      : callable_{const_cast<void*>(static_cast<const void*>(std::addressof(callable)))},
        call_{[](void* target, std::string_view bytes) {
          (*static_cast<std::remove_reference_t<Callable>*>(target))(bytes);
        }} {}

  void operator()(std::string_view bytes) const { call_(callable_, bytes); }

 private:
  void* callable_;
  void (*call_)(void*, std::string_view);
};

}  // namespace perwatt::net
