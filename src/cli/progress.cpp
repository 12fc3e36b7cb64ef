#include "progress.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace perwatt::cli {

namespace {

constexpr std::chrono::seconds kSilence{2};
constexpr std::chrono::milliseconds kBetweenDraws{100};
constexpr int kBarWidth = 30;

}  // namespace

ProgressBar::ProgressBar(std::string label)
    : label_{std::move(label)},
      is_terminal_{::isatty(STDERR_FILENO) == 1},
      start_{std::chrono::steady_clock::now()},
      last_{start_} {}

ProgressBar::~ProgressBar() {
  if (drawn_) {
    fmt::print(stderr, "\r\x1b[K");
  }
}

void ProgressBar::update(double share) {
  const auto now = std::chrono::steady_clock::now();
  if (!is_terminal_ || now - start_ < kSilence || (drawn_ && now - last_ < kBetweenDraws)) {
    return;
  }
  last_ = now;
  drawn_ = true;
  const double clamped = std::clamp(share, 0.0, 1.0);
  const auto filled = static_cast<std::size_t>(clamped * kBarWidth);
  fmt::print(stderr, "\r{} [{}{}] {:3.0f} %", label_, std::string(filled, '='),
             std::string(kBarWidth - filled, ' '), clamped * 100);
  std::fflush(stderr);
}

}  // namespace perwatt::cli
