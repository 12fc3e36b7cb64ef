// Synthetic prompts of a given length in tokens of whatever tokenizer the server has.
//
// No tokenizer is shipped. Prompts are common words, each one token or a little more in every
// byte-pair vocabulary; the server's own count of two probes gives tokens = base + words x slope
// (chat template and all), and a prompt of N tokens has (N - base) / slope words.
#pragma once

#include <cstdint>
#include <string>

namespace perwatt::measure {

/// How this server counts words. The default stands for a server that reports no usage.
struct PromptScale {
  double base_tokens = 0.0;
  double tokens_per_word = 1.0;
  bool is_measured = false;

  /// From two probes. REQUIRES: more words in the second. Falls back to the default when the counts
  /// do not rise (a server that reports no sensible usage).
  static PromptScale from_probes(int words_a, std::int64_t tokens_a, int words_b,
                                 std::int64_t tokens_b);

  /// Words for a prompt of `tokens` tokens, at least 1.
  [[nodiscard]] int words_for(std::int64_t tokens) const;
};

/// A text of `words` words. The first words spell `serial`, so that no two prompts share a prefix
/// and no prefix cache can answer for the server; the rest are drawn by `seed` and `serial`. The
/// same arguments give the same text.
[[nodiscard]] std::string synthetic_prompt(int words, std::uint64_t serial, std::uint64_t seed);

}  // namespace perwatt::measure
