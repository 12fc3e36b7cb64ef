// State that outlives the process, in one SQLite file.
//
// What Transaction::commit() returned for survives a process killed at any moment; after a power
// failure the last commits may be missing, but no half of one is there (write-ahead log,
// synchronous = NORMAL). One process at a time: the file is locked while it is open.
//
// All functions throw Error(peer_failed) naming the file and what SQLite says, unless they say
// otherwise.
//
// Thread rule: a Database and its statements belong to one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace perwatt::store {

/// One prepared statement, used again and again: bind every parameter, then step. Must not outlive
/// its Database.
class Statement {
 public:
  /// Parameters are numbered from 1. Each call returns the statement, for the next.
  Statement& bind(int parameter, std::int64_t value);
  Statement& bind(int parameter, double value);
  Statement& bind(int parameter, std::string_view value);
  Statement& bind_null(int parameter);

  /// As they are, not as text. REQUIRES: `value` lives until the statement has run or is bound
  /// anew.
  Statement& bind_bytes(int parameter, std::string_view value);

  /// True while there is a row to read; after the last one the statement is as new, but for its
  /// parameters.
  bool step();

  /// For statements without rows.
  void run();

  /// Columns are numbered from 0. A value of another kind is converted as SQLite does.
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] double number(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::string bytes(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  friend class Database;

  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };

  Statement(sqlite3_stmt* statement, std::string file)
      : statement_{statement}, file_{std::move(file)} {}

  [[noreturn]] void fail();

  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
  std::string file_;
};

/// What a file holds.
struct Schema {
  std::int32_t application = 0;  // marks the kind of file: another one is refused
  int version = 1;               // raised when the tables change
  const char* sql = "";          // makes the tables
};

class Database {
 public:
  /// Opens or makes the file. Throws Error(bad_input) for a file that is no database, one of
  /// another application or version, and an empty name, and Error(peer_failed) for one that
  /// another process has open.
  Database(const std::filesystem::path& file, const Schema& schema);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// SQL without parameters and rows, one or several statements.
  void execute(const char* sql);

  [[nodiscard]] Statement prepare(std::string_view sql);

 private:
  [[nodiscard]] std::int64_t single_number(const char* sql);
  void make(const Schema& schema);

  struct Closer {
    void operator()(sqlite3* database) const noexcept;
  };

  std::string file_;
  std::unique_ptr<sqlite3, Closer> database_;
};

/// Everything done between begin and commit() is kept together or not at all; not at all without
/// commit().
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  void commit();

 private:
  Database& database_;
  bool is_open_ = true;
};

}  // namespace perwatt::store
