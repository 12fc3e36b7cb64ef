#include "perwatt/measure/prompt.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string_view>

namespace perwatt::measure {

namespace {

// Common English words; a power of two, so that a draw has no bias.
constexpr std::array<std::string_view, 128> kWords{
    "time",    "year",    "people",   "way",    "day",     "man",     "thing",   "woman",
    "life",    "child",   "world",    "school", "state",   "family",  "student", "group",
    "country", "problem", "hand",     "part",   "place",   "case",    "week",    "company",
    "system",  "program", "question", "work",   "number",  "night",   "point",   "home",
    "water",   "room",    "mother",   "area",   "money",   "story",   "fact",    "month",
    "lot",     "right",   "study",    "book",   "eye",     "job",     "word",    "business",
    "issue",   "side",    "kind",     "head",   "house",   "service", "friend",  "father",
    "power",   "hour",    "game",     "line",   "end",     "member",  "law",     "car",
    "city",    "name",    "team",     "minute", "idea",    "body",    "back",    "parent",
    "face",    "others",  "level",    "office", "door",    "health",  "person",  "art",
    "war",     "history", "party",    "result", "change",  "morning", "reason",  "research",
    "girl",    "guy",     "moment",   "air",    "teacher", "force",   "order",   "window",
    "field",   "river",   "color",    "music",  "market",  "street",  "plant",   "table",
    "paper",   "space",   "ground",   "form",   "event",   "road",    "train",   "stone",
    "light",   "sound",   "winter",   "summer", "animal",  "tree",    "ship",    "wood",
    "fire",    "north",   "south",    "east",   "west",    "garden",  "bridge",  "island"};

}  // namespace

PromptScale PromptScale::from_probes(int words_a, std::int64_t tokens_a, int words_b,
                                     std::int64_t tokens_b) {
  const double slope =
      static_cast<double>(tokens_b - tokens_a) / static_cast<double>(words_b - words_a);
  if (tokens_a <= 0 || slope <= 0) {
    return {};
  }
  return {static_cast<double>(tokens_a) - slope * words_a, slope, true};
}

int PromptScale::words_for(std::int64_t tokens) const {
  const double words = (static_cast<double>(tokens) - base_tokens) / tokens_per_word;
  return static_cast<int>(std::clamp(std::round(words), 1.0, 1e8));
}

std::string synthetic_prompt(int words, std::uint64_t serial, std::uint64_t seed) {
  std::string text;
  text.reserve(static_cast<std::size_t>(words) * 7);
  const auto add = [&](std::uint64_t index) {
    text += text.empty() ? "" : " ";
    text += kWords[index % kWords.size()];
  };
  // Least digits first, so that neighbours differ in their first word.
  int left = words;
  std::uint64_t rest = serial;
  do {
    add(rest);
    rest /= kWords.size();
    --left;
  } while (left > 0 && rest > 0);
  std::mt19937_64 random{seed ^ (serial * 0x9e3779b97f4a7c15ULL)};
  constexpr int kWordsADraw = 9;  // seven bits a word
  while (left > 0) {
    std::uint64_t bits = random();
    for (int i = 0; i < kWordsADraw && left > 0; ++i, --left) {
      add(bits);
      bits >>= 7U;
    }
  }
  return text;
}

}  // namespace perwatt::measure
