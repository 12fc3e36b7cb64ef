#include "perwatt/store/database.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perwatt/base/error.hpp"

namespace perwatt::store {
namespace {

using ::testing::HasSubstr;

template <class Call>
std::string message_of(ErrorCode code, Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

constexpr const char* kTables = "CREATE TABLE things (name TEXT PRIMARY KEY, weight REAL, n INT)";
constexpr Schema kSchema{17, 1, kTables};

class DatabaseTest : public ::testing::Test {
 protected:
  DatabaseTest()
      : folder_{std::filesystem::temp_directory_path() /
                ("perwatt-store-" + std::to_string(::getpid()) + "-" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name())} {
    std::filesystem::create_directories(folder_);
  }

  ~DatabaseTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::filesystem::path file(const char* name = "state.sqlite") const {
    return folder_ / name;
  }

  static std::int64_t count(Database& database) {
    auto statement = database.prepare("SELECT count(*) FROM things");
    statement.step();
    return statement.integer(0);
  }

 private:
  std::filesystem::path folder_;
};

TEST_F(DatabaseTest, GivesBackWhatItKept) {
  {
    Database database{file(), kSchema};
    auto insert = database.prepare("INSERT INTO things VALUES (?, ?, ?)");
    insert.bind(1, std::string_view{"a'\0b", 4}).bind(2, 0.1).bind(3, std::int64_t{1} << 40).run();
    insert.bind(1, "empty").bind_null(2).bind(3, std::int64_t{-1}).run();
  }
  Database database{file(), kSchema};
  auto select = database.prepare("SELECT name, weight, n FROM things ORDER BY n DESC");
  ASSERT_TRUE(select.step());
  EXPECT_EQ(select.text(0), std::string("a'\0b", 4));
  EXPECT_EQ(select.number(1), 0.1);
  EXPECT_EQ(select.integer(2), std::int64_t{1} << 40);
  ASSERT_TRUE(select.step());
  EXPECT_TRUE(select.is_null(1));
  EXPECT_FALSE(select.is_null(0));
  EXPECT_FALSE(select.step());
  EXPECT_TRUE(select.step()) << "a finished statement begins anew";
}

TEST_F(DatabaseTest, GivesBackBytesAsTheyWere) {
  std::string every;
  for (int b = 0; b < 256; ++b) {
    every.push_back(static_cast<char>(b));
  }
  {
    Database database{file(), kSchema};
    auto insert = database.prepare("INSERT INTO things VALUES ('x', ?, ?)");
    insert.bind_bytes(1, every).bind_bytes(2, {}).run();
  }
  Database database{file(), kSchema};
  auto select = database.prepare("SELECT weight, n FROM things");
  ASSERT_TRUE(select.step());
  EXPECT_EQ(select.bytes(0), every);
  EXPECT_EQ(select.bytes(1), "");
  EXPECT_FALSE(select.is_null(1));
}

TEST_F(DatabaseTest, KeepsATransactionWholeOrNotAtAll) {
  Database database{file(), kSchema};
  {
    Transaction transaction{database};
    database.execute(
        "INSERT INTO things VALUES ('a', 1, 1); INSERT INTO things VALUES ('b', 1, 1)");
    transaction.commit();
  }
  EXPECT_EQ(count(database), 2);
  {
    const Transaction transaction{database};
    database.execute("INSERT INTO things VALUES ('c', 1, 1)");
  }
  EXPECT_EQ(count(database), 2);
}

// A child commits one row after the other and says so; killed at once, no row it told of is lost.
TEST_F(DatabaseTest, LosesNothingCommittedWhenKilled) {
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const auto child = ::fork();
  if (child == 0) {
    Database database{file(), kSchema};
    auto insert = database.prepare("INSERT INTO things VALUES (?, 1, 1)");
    for (int i = 0;; ++i) {
      Transaction transaction{database};
      insert.bind(1, std::to_string(i)).run();
      transaction.commit();
      if (::write(told[1], &i, sizeof i) != sizeof i) {
        ::_exit(1);
      }
    }
  }
  ::close(told[1]);
  int last = 0;
  while (last < 300 && ::read(told[0], &last, sizeof last) == sizeof last) {
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(told[0]);
  ASSERT_GE(last, 300);
  Database database{file(), kSchema};
  EXPECT_GT(count(database), last);
}

TEST_F(DatabaseTest, RefusesASecondProcess) {
  const Database first{file(), kSchema};
  const auto error = message_of(ErrorCode::peer_failed, [&] {
    const Database second{file(), kSchema};
  });
  EXPECT_THAT(error, HasSubstr("another process has it open"));
  EXPECT_THAT(error, HasSubstr("state.sqlite"));
}

TEST_F(DatabaseTest, SaysWhatIsNotItsFile) {
  std::ofstream{file("notes.txt")} << std::string(4096, 'x');
  EXPECT_THAT(message_of(ErrorCode::bad_input,
                         [&] {
                           const Database opened{file("notes.txt"), kSchema};
                         }),
              HasSubstr("notes.txt: file is not a database"));
  EXPECT_THAT(message_of(ErrorCode::peer_failed,
                         [&] {
                           const Database opened{file("no/folder"), kSchema};
                         }),
              HasSubstr("unable to open"));
  { const Database opened{file("old"), kSchema}; }
  EXPECT_THAT(message_of(ErrorCode::bad_input,
                         [&] {
                           const Database opened{file("old"), Schema{17, 2, kTables}};
                         }),
              HasSubstr("it is of version 1, this perwatt writes version 2"));
  EXPECT_THAT(message_of(ErrorCode::bad_input,
                         [&] {
                           const Database opened{"", kSchema};
                         }),
              HasSubstr("no name"));
  EXPECT_THAT(message_of(ErrorCode::bad_input,
                         [&] {
                           const Database opened{file("old"), Schema{18, 1, kTables}};
                         }),
              HasSubstr("a database of another program"));
  {
    sqlite3* foreign = nullptr;
    ASSERT_EQ(sqlite3_open(file("foreign").c_str(), &foreign), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(foreign, "CREATE TABLE other (x); PRAGMA user_version = 1", nullptr,
                           nullptr, nullptr),
              SQLITE_OK);
    sqlite3_close(foreign);
  }
  EXPECT_THAT(message_of(ErrorCode::bad_input,
                         [&] {
                           const Database opened{file("foreign"), kSchema};
                         }),
              HasSubstr("a database of another program"));
}

TEST_F(DatabaseTest, SaysWhatAStatementDidWrong) {
  Database database{file(), kSchema};
  EXPECT_THAT(
      message_of(ErrorCode::peer_failed, [&] { static_cast<void>(database.prepare("SELEC 1")); }),
      HasSubstr("syntax error"));
  auto insert = database.prepare("INSERT INTO things VALUES ('a', 1, 1)");
  insert.run();
  EXPECT_THAT(message_of(ErrorCode::peer_failed, [&] { insert.run(); }), HasSubstr("UNIQUE"));
  EXPECT_EQ(count(database), 1);
}

}  // namespace
}  // namespace perwatt::store
