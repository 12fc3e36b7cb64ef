// Journals that were cut, or changed by hand: opened as they were at an earlier commit, or refused;
// and never a grant that was not made.
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "error_of.hpp"
#include "journal_site.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/file.hpp"
#include "perwatt/control/journal.hpp"

namespace perwatt::control {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

void write_bytes(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream{file, std::ios::binary | std::ios::trunc}
      << bytes;  // not write_file: no need to be safe
}

constexpr std::size_t kPlacesOfPiece[] = {0, 1, 7, 8, 23, 24, 25, 100, 513, 2048, 4000};

/// Where to cut `size` bytes made of pieces of `piece` bytes behind `head`: about every end of a
/// piece, and at some places in each. With PERWATT_CUTS=all at every byte.
std::vector<std::size_t> cuts_of(std::size_t size, std::size_t head, std::size_t piece) {
  std::set<std::size_t> cuts{0, 1, 15, 16, 17, 31, 32, 99, 100, 101, size - 1, size};
  const char* which = std::getenv("PERWATT_CUTS");
  const bool is_all = which != nullptr && std::string_view{which} == "all";
  for (std::size_t end = head; !is_all && end < size; end += piece) {
    for (const std::size_t of_piece : kPlacesOfPiece) {
      cuts.insert(end + of_piece);
      cuts.insert(end - std::min<std::size_t>(end, of_piece % 2));
    }
  }
  for (std::size_t at = 0; is_all && at < size; ++at) {
    cuts.insert(at);
  }
  cuts.erase(cuts.upper_bound(size), cuts.end());
  return {cuts.begin(), cuts.end()};
}

/// A journal, the states it went through, and the grants made in it.
class Recorded {
 public:
  Recorded(const std::filesystem::path& file, int ticks)
      : site{random_site_of(4)}, states{{Controller{site.tree, site.devices, site.rules}.state()}} {
    RandomSite world{4, site};
    JournalRules rules;
    rules.checkpoint_entries = 9;
    auto controller = open_journal(file, site, world.now, rules);
    for (int t = 0; t < ticks; ++t) {
      // A limit is committed before its tick, with what came before it.
      world.after_limit = [&] { states.insert(controller.controller().state()); };
      for (const auto& grant : world.tick(controller)) {
        caps[{grant.device.value, grant.grant.id}] = grant.grant.cap;
      }
      states.insert(controller.controller().state());
    }
    TestFolder::copy(file, file.string() + "-killed");
    end = world.now;
  }

  TestSite site;
  std::set<std::string> states;
  std::map<std::pair<std::uint32_t, device::GrantId>, Watts> caps;
  Instant end;
};

struct Outcome {
  int opened = 0;
  int refused = 0;
};

/// Opens, looks, goes on for a tick, and plays it again.
void open_cut(const std::filesystem::path& file, const Recorded& recorded, std::size_t cut,
              Outcome& outcome) {
  try {
    {
      auto controller = open_journal(file, recorded.site, recorded.end);
      ASSERT_TRUE(recorded.states.count(controller.controller().state())) << "cut at " << cut;
      for (const auto& open : controller.open_grants(recorded.end)) {
        const auto made = recorded.caps.find({open.device.value, open.grant.id});
        ASSERT_TRUE(made != recorded.caps.end()) << "cut at " << cut;
        ASSERT_EQ(made->second, open.grant.cap) << "cut at " << cut;
      }
      static_cast<void>(controller.tick(recorded.end));
    }
    ASSERT_EQ(replay_of(file, recorded.site).difference.value_or(""), "") << "cut at " << cut;
    ++outcome.opened;
  } catch (const Error& error) {
    ASSERT_EQ(error.code(), ErrorCode::bad_input) << "cut at " << cut << ": " << error.what();
    ++outcome.refused;
  }
}

Outcome cut_everywhere(const TestFolder& folder, const char* part, std::size_t head,
                       std::size_t piece, const Recorded& recorded, bool with_log) {
  const auto whole = folder.file("journal.sqlite-killed");
  const auto cut_file = folder.file("cut");
  const auto bytes = read_file(whole.string() + part);
  Outcome outcome;
  for (const std::size_t cut : cuts_of(bytes.size(), head, piece)) {
    TestFolder::copy(whole, cut_file);
    if (!with_log) {
      std::filesystem::remove(cut_file.string() + "-wal");
    }
    std::filesystem::remove(cut_file.string() + "-shm");
    write_bytes(cut_file.string() + part, std::string_view{bytes}.substr(0, cut));
    open_cut(cut_file, recorded, cut, outcome);
    if (::testing::Test::HasFatalFailure()) {
      break;
    }
  }
  std::printf("%s%s of %zu bytes cut: %d opened, %d refused\n", with_log ? "" : "closed ",
              *part == '\0' ? "file" : part, bytes.size(), outcome.opened, outcome.refused);
  return outcome;
}

TEST(JournalDamage, ALogThatIsCutGivesAnEarlierCommit) {
  const TestFolder folder;
  const Recorded recorded{folder.file(), 30};
  const auto outcome = cut_everywhere(folder, "-wal", 32, 4096 + 24, recorded, true);
  EXPECT_GT(outcome.opened, 1000);
  EXPECT_EQ(outcome.refused, 0);
}

TEST(JournalDamage, AFileThatIsCutIsRefusedOrEmpty) {
  const TestFolder folder;
  const Recorded recorded{folder.file(), 60};
  auto killed = folder.file("journal.sqlite-killed");
  {  // closed in order: all is in the file
    TestFolder::copy(folder.file(), killed);
    EXPECT_FALSE(std::filesystem::exists(killed.string() + "-wal"));
  }
  const auto closed = cut_everywhere(folder, "", 4096, 4096, recorded, false);
  EXPECT_LT(closed.opened, 16) << "only without anything, or cut in a last page that says nothing";
  EXPECT_GT(closed.refused, 200);
}

TEST(JournalDamage, AFileThatIsCutBesideItsLogIsRefusedOrGivesACommit) {
  const TestFolder folder;
  const Recorded recorded{folder.file(), 450};  // long enough for the log to begin anew
  ASSERT_GT(std::filesystem::file_size(folder.file("journal.sqlite-killed")), 200'000u);
  const auto outcome = cut_everywhere(folder, "", 4096, 16 * 4096, recorded, true);
  EXPECT_GT(outcome.refused, 50);
}

class ChangedJournal : public ::testing::Test {
 protected:
  ChangedJournal() : recorded_{folder_.file(), 20} {}

  /// What replay() and the constructor say after `statement`.
  std::string played_after(const std::string& statement) {
    TestFolder::copy(folder_.file(), folder_.file("changed"));
    sql(folder_.file("changed"), statement);
    try {
      return replay_of(folder_.file("changed"), recorded_.site).difference.value_or("");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return error.what();
    }
  }

  std::string opened_after(const std::string& statement) {
    TestFolder::copy(folder_.file(), folder_.file("changed"));
    sql(folder_.file("changed"), statement);
    return error_of([&] { open_journal(folder_.file("changed"), recorded_.site, recorded_.end); });
  }

  TestFolder folder_;
  Recorded recorded_;
};

TEST_F(ChangedJournal, PlaysUnchanged) {
  EXPECT_EQ(played_after("SELECT 1"), "");
}

TEST_F(ChangedJournal, IsFoundOutByAnyGrant) {
  const auto count = std::stoi(sql(folder_.file(), "SELECT count(*) FROM grants")[0][0]);
  ASSERT_GT(count, 20);
  for (int g = 0; g < count; ++g) {
    const std::string which =
        " WHERE (tick, place) = (SELECT tick, place FROM grants ORDER BY "
        "tick, place LIMIT 1 OFFSET " +
        std::to_string(g) + ")";
    // The last bit of a cap, too.
    for (const auto* change :
         {"cap_watts = cap_watts * 1.0000000000000003", "before_watts = before_watts + 1",
          "id = id + 1", "device = 1 - min(device, 1)", "ask = ask + 1", "epoch = epoch + 1",
          "void_after_ns = void_after_ns + 1", "duration_seconds = 9",
          "cause = CASE cause WHEN 'raised' THEN 'lowered' ELSE 'raised' END"}) {
      EXPECT_THAT(played_after("UPDATE grants SET " + std::string{change} + which),
                  HasSubstr(" is now grant "))
          << change;
    }
    EXPECT_NE(played_after("DELETE FROM grants" + which), "");
  }
}

TEST_F(ChangedJournal, IsRefusedWhereAControllerWouldStartFromIt) {
  const std::string last = " WHERE tick = (SELECT max(tick) FROM grants) AND place = 0";
  EXPECT_THAT(opened_after("UPDATE grants SET cap_watts = 700" + last),
              HasSubstr("not as they were written"));
  EXPECT_THAT(opened_after("UPDATE grants SET cause = 'why'" + last), HasSubstr(" is none"));
  EXPECT_THAT(opened_after("DELETE FROM grants" + last), HasSubstr(" of its "));
  EXPECT_THAT(opened_after("UPDATE checkpoints SET state = substr(state, 2)"),
              HasSubstr("the checkpoint of entry 18 is not as it was written"));
  EXPECT_THAT(opened_after("DELETE FROM entries WHERE entry = 19"),
              HasSubstr("entry 19 is missing"));
  EXPECT_THAT(opened_after("UPDATE entries SET at_ns = at_ns + 1 WHERE entry = 20"),
              HasSubstr("entry 20 is not as it was written"));
  EXPECT_THAT(opened_after("DELETE FROM site"), HasSubstr("it is of another site"));
  EXPECT_THAT(opened_after("DELETE FROM starts"), HasSubstr("no start"));
}

TEST_F(ChangedJournal, IsFoundOutByAnyByteOfAnyInput) {
  int changed = 0;
  for (const auto& row : sql(folder_.file(), "SELECT entry, length(inputs) FROM entries")) {
    const int length = std::stoi(row[1]);
    for (int at = 1; at <= length; at += 101) {
      const auto place = std::to_string(at);
      const auto found =
          played_after("UPDATE entries SET inputs = CAST(substr(inputs, 1, " + place +
                       " - 1) || CASE hex(substr(inputs, " + place +
                       ", 1)) WHEN 'A5' THEN x'A6' ELSE x'A5' END || substr(inputs, " + place +
                       " + 1) AS BLOB) WHERE entry = " + row[0]);
      EXPECT_THAT(found, HasSubstr("entry " + row[0] + " is not as it was written"));
      ++changed;
    }
  }
  EXPECT_GT(changed, 60);
}

}  // namespace
}  // namespace perwatt::control
