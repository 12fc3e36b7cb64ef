#include <algorithm>
#include <utility>

#include "input_log.hpp"
#include "journal_file.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/control/journal.hpp"

namespace perwatt::control {

namespace {

std::string grant_in_words(const Controller::Grant& one, const topology::PowerTree& tree) {
  return "grant " + std::to_string(one.grant.id) + " to '" + printable(tree.device(one.device).id) +
         "' of " + shortest(in_watts(one.grant.cap)) + " W (" + std::string{to_string(one.cause)} +
         " from " + shortest(in_watts(one.before)) + " W, for ask " +
         std::to_string(one.grant.answers.number) + " of start " +
         std::to_string(one.grant.answers.epoch) + ", " + shortest(in_seconds(one.grant.duration)) +
         " s, void after " + std::to_string(one.void_after.nanoseconds()) + " ns)";
}

bool is_same_grant(const Controller::Grant& a, const Controller::Grant& b) {
  return a.device == b.device && a.grant.id == b.grant.id &&
         a.grant.answers.epoch == b.grant.answers.epoch &&
         a.grant.answers.number == b.grant.answers.number && a.grant.cap == b.grant.cap &&
         a.grant.duration == b.grant.duration && a.void_after == b.void_after &&
         a.before == b.before && a.cause == b.cause;
}

/// A controller that is told what one was told, and asked to come to the same.
class JournalPlayer {
 public:
  JournalPlayer(JournalFile& file, const topology::PowerTree& tree,
                std::vector<ControlledDevice> devices, const ControlRules& rules, Replay& found)
      : file_{file},
        tree_{tree},
        size_{devices.size(), tree.nodes().size()},
        controller_{tree, std::move(devices), rules},
        found_{found} {}

  void play() {
    EntryNumber after = 0;
    if (file_.first_entry().value_or(1) != 1) {
      const auto checkpoint = file_.checkpoint(false);
      if (!checkpoint) {
        throw_bad_input("its beginning is missing, and no state is left to begin with",
                        file_.name(), "the file is damaged: see docs/model/control.md#journal");
      }
      after = checkpoint->number;
      controller_.resume(checkpoint->state);
      found_.skipped_ticks = file_.ticks_up_to(after);
    }
    file_.for_each_behind(after, size_.devices, false,
                          [&](const JournalEntry& entry, std::span<const Controller::Grant> then) {
                            found_.difference = play_entry(entry, then);
                            return !found_.difference;
                          });
  }

 private:
  using Difference = std::optional<std::string>;

  Difference play_entry(const JournalEntry& entry, std::span<const Controller::Grant> then) {
    const std::string where = "entry " + std::to_string(entry.number) + ": ";
    if (entry.kind == EntryKind::start) {
      ++found_.starts;
      if (entry.number > 1) {
        controller_.lay_out();
      }
      return std::nullopt;
    }
    const auto place = file_.name() + ": entry " + std::to_string(entry.number);
    if (const auto difference = apply_inputs(entry.inputs, place, size_, controller_)) {
      return where + *difference;
    }
    if (entry.kind == EntryKind::tick) {
      if (const auto difference = compare(then, controller_.tick(entry.at))) {
        return where + *difference;
      }
      ++found_.ticks;
    }
    if (entry.is_laid_out) {
      if (const auto kept = file_.checkpoint_at(entry.number)) {
        if (*kept != controller_.state()) {
          return where + "the state written then is not that of now";
        }
        ++found_.checkpoints;
      }
      controller_.lay_out();
    }
    return std::nullopt;
  }

  Difference compare(std::span<const Controller::Grant> then,
                     std::span<const Controller::Grant> now) {
    for (std::size_t i = 0; i < std::max(then.size(), now.size()); ++i) {
      if (i >= now.size()) {
        return grant_in_words(then[i], tree_) + " does not come again";
      }
      if (i >= then.size()) {
        return grant_in_words(now[i], tree_) + " is not in the journal";
      }
      if (!is_same_grant(then[i], now[i])) {
        return grant_in_words(then[i], tree_) + " is now " + grant_in_words(now[i], tree_);
      }
      ++found_.grants;
    }
    return std::nullopt;
  }

  JournalFile& file_;
  const topology::PowerTree& tree_;
  SiteSize size_;
  Controller controller_;
  Replay& found_;
};

}  // namespace

Replay replay(const std::filesystem::path& file, const topology::PowerTree& tree,
              std::vector<ControlledDevice> devices, const ControlRules& rules) {
  if (!std::filesystem::exists(file)) {
    throw_bad_input("there is no such file", file.string(), "give the journal of a controller");
  }
  JournalFile opened{file};
  check_same_site(opened.site(), site_parts(tree, devices, rules), rules, opened.name());
  Replay found;
  JournalPlayer{opened, tree, std::move(devices), rules, found}.play();
  return found;
}

}  // namespace perwatt::control
