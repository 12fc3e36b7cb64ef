#include "tokens.hpp"

#include <algorithm>
#include <array>

#include "settings.hpp"

namespace standin {
namespace {

constexpr std::uint32_t kVocabulary = 128'000;
constexpr std::array<std::string_view, 32> kWords{
    " the",    " river", " of",     " light", " was",   " slow",  " and",  " every",
    " stone",  " in",    " it",     " kept",  " a",     " name",  " that", " no",
    " winter", " could", " take",   " away",  " until", " they",  " came", " back",
    " with",   " maps",  " and_so", " drew",  " its",   " bends", " once", " more"};

bool is_word(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
         c >= 128;
}

bool is_space(unsigned char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

void tokenize(std::string_view text, TokenIds& ids) {
  std::size_t i = 0;
  while (i < text.size()) {
    if (is_space(static_cast<unsigned char>(text[i]))) {
      ++i;
      continue;
    }
    std::uint32_t hash = 2'166'136'261U;
    const std::size_t begin = i;
    do {
      hash = (hash ^ static_cast<unsigned char>(text[i])) * 16'777'619U;
      ++i;
    } while (i < text.size() && is_word(static_cast<unsigned char>(text[begin])) &&
             is_word(static_cast<unsigned char>(text[i])));
    ids.push_back(hash % kVocabulary);
  }
}

void tokenize_message(std::string_view role, std::string_view text, TokenIds& ids) {
  const std::uint32_t kind = role == "system" ? 1U : role == "assistant" ? 2U : 3U;
  for (std::uint32_t i = 0; i < kTemplateTokensPerMessage; ++i) {
    ids.push_back(kVocabulary + 4 * kind + i);
  }
  tokenize(text, ids);
}

std::string_view answer_word(std::uint64_t seed, std::uint64_t n) {
  return kWords[static_cast<std::size_t>(uniform(seed, n, 0) * kWords.size())];
}

std::size_t PrefixCache::take(const TokenIds& ids) {
  std::uint64_t hash = 14'695'981'039'346'656'037ULL;
  std::size_t known = 0;
  bool all_known = true;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    hash = (hash ^ ids[i]) * 1'099'511'628'211ULL;
    hash ^= hash >> 29;
    if ((i + 1) % kBlockTokens != 0) {
      continue;
    }
    const bool fresh = blocks_.insert(hash).second;
    if (fresh) {
      order_.push_back(hash);
    }
    all_known = all_known && !fresh;
    if (all_known) {
      known = i + 1;
    }
  }
  while (order_.size() > kMostBlocks) {
    blocks_.erase(order_.front());
    order_.pop_front();
  }
  return std::min(known, ids.empty() ? 0 : (ids.size() - 1) / kBlockTokens * kBlockTokens);
}

void PrefixCache::clear() {
  blocks_.clear();
  order_.clear();
}

}  // namespace standin
