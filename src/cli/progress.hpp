// A progress bar on standard error: only on a terminal, only once two seconds have passed.
#pragma once

#include <chrono>
#include <string>

namespace perwatt::cli {

class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// `share` done, 0..1. Cheap: draws at most ten times a second.
  void update(double share);

 private:
  std::string label_;
  bool is_terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace perwatt::cli
