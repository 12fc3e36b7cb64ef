// The stand-in's own tokenizer and prefix cache.
//
// A token is a run of letters, digits, underscores and bytes above 127, or one other byte that is
// not white space. White space separates tokens and is none. A chat message has
// kTemplateTokensPerMessage more. So prompt_tokens are about words plus punctuation, and a client
// that wants N input tokens must ask (/tokenize) or calibrate, as with a real server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace standin {

using TokenIds = std::vector<std::uint32_t>;

inline constexpr std::size_t kTemplateTokensPerMessage = 4;

void tokenize(std::string_view text, TokenIds& ids);

/// One message of a chat, with its template.
void tokenize_message(std::string_view role, std::string_view text, TokenIds& ids);

/// The n-th word of an answer: the same for the same seed and n. Each is one token.
[[nodiscard]] std::string_view answer_word(std::uint64_t seed, std::uint64_t n);

/// Blocks of 16 tokens, each known by all tokens up to its end: a request that repeats the start of
/// an earlier one is served from here, so a load generator that reuses prompts is found out.
class PrefixCache {
 public:
  static constexpr std::size_t kBlockTokens = 16;
  static constexpr std::size_t kMostBlocks = 1 << 20;

  /// How many leading tokens of `ids` earlier requests have left here; at least one token is always
  /// left to compute. Then remembers `ids`.
  [[nodiscard]] std::size_t take(const TokenIds& ids);

  void clear();

 private:
  std::unordered_set<std::uint64_t> blocks_;
  std::deque<std::uint64_t> order_;  // oldest first
};

}  // namespace standin
