#include "perwatt/store/database.hpp"

#include <sqlite3.h>

#include "perwatt/base/error.hpp"

namespace perwatt::store {

namespace {

[[noreturn]] void throw_failure(int code, const std::string& file, const std::string& what) {
  switch (code & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      throw_bad_input(what, file, "give a file that perwatt made, or a name for a new one");
    case SQLITE_BUSY:
      throw Error{ErrorCode::peer_failed, "another process has it open", file,
                  "stop that one, or give another file"};
    case SQLITE_FULL:
      throw Error{ErrorCode::peer_failed, what, file, "make room on its disk"};
    default:
      throw Error{ErrorCode::peer_failed, what, file, "see that the folder is there and writable"};
  }
}

}  // namespace

void Statement::Finalizer::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

void Statement::fail() {
  auto* database = sqlite3_db_handle(statement_.get());
  const int code = sqlite3_errcode(database);
  const std::string what = sqlite3_errmsg(database);
  sqlite3_reset(statement_.get());
  throw_failure(code, file_, what);
}

Statement& Statement::bind(int parameter, std::int64_t value) {
  if (sqlite3_bind_int64(statement_.get(), parameter, value) != SQLITE_OK) {
    fail();
  }
  return *this;
}

Statement& Statement::bind(int parameter, double value) {
  if (sqlite3_bind_double(statement_.get(), parameter, value) != SQLITE_OK) {
    fail();
  }
  return *this;
}

Statement& Statement::bind(int parameter, std::string_view value) {
  if (sqlite3_bind_text64(statement_.get(), parameter, value.data(), value.size(), SQLITE_TRANSIENT,
                          SQLITE_UTF8) != SQLITE_OK) {
    fail();
  }
  return *this;
}

Statement& Statement::bind_null(int parameter) {
  if (sqlite3_bind_null(statement_.get(), parameter) != SQLITE_OK) {
    fail();
  }
  return *this;
}

Statement& Statement::bind_bytes(int parameter, std::string_view value) {
  const char* data = value.data() == nullptr ? "" : value.data();  // else it would be NULL
  if (sqlite3_bind_blob64(statement_.get(), parameter, data, value.size(), SQLITE_STATIC) !=
      SQLITE_OK) {
    fail();
  }
  return *this;
}

bool Statement::step() {
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      sqlite3_reset(statement_.get());
      return false;
    default:
      fail();
  }
}

void Statement::run() {
  while (step()) {
  }
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

double Statement::number(int column) const {
  return sqlite3_column_double(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const auto* bytes = sqlite3_column_text(statement_.get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return bytes == nullptr ? std::string{} : std::string{reinterpret_cast<const char*>(bytes), size};
}

std::string Statement::bytes(int column) const {
  const void* bytes = sqlite3_column_blob(statement_.get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return bytes == nullptr ? std::string{} : std::string{static_cast<const char*>(bytes), size};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

void Database::Closer::operator()(sqlite3* database) const noexcept {
  sqlite3_close_v2(database);
}

Database::Database(const std::filesystem::path& file, const Schema& schema) : file_{file.string()} {
  if (file_.empty()) {
    throw_bad_input("the file has no name", "state", "give one");
  }
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(file_.c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  database_.reset(opened);
  if (code != SQLITE_OK) {
    throw_failure(code, file_, opened == nullptr ? "no memory" : sqlite3_errmsg(opened));
  }
  sqlite3_extended_result_codes(opened, 1);
  // The lock is taken by the first write and kept: a second process fails there, not midway.
  execute(
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
      "PRAGMA foreign_keys = ON; BEGIN IMMEDIATE; COMMIT");
  if (single_number("SELECT count(*) FROM sqlite_master") == 0) {
    make(schema);
    return;
  }
  if (single_number("PRAGMA application_id") != schema.application) {
    throw_bad_input("a database of another program", file_, "give a name for a new file");
  }
  if (const auto found = single_number("PRAGMA user_version"); found != schema.version) {
    throw_bad_input("it is of version " + std::to_string(found) + ", this perwatt writes version " +
                        std::to_string(schema.version),
                    file_, "use the perwatt that made it, or give a name for a new file");
  }
}

std::int64_t Database::single_number(const char* sql) {
  auto statement = prepare(sql);
  statement.step();
  return statement.integer(0);
}

void Database::make(const Schema& schema) {
  Transaction making{*this};
  execute(schema.sql);
  execute(("PRAGMA application_id = " + std::to_string(schema.application) +
           "; PRAGMA user_version = " + std::to_string(schema.version))
              .c_str());
  making.commit();
}

void Database::execute(const char* sql) {
  if (const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
      code != SQLITE_OK) {
    throw_failure(code, file_, sqlite3_errmsg(database_.get()));
  }
}

Statement Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      &statement, nullptr);
  if (code != SQLITE_OK) {
    throw_failure(code, file_, sqlite3_errmsg(database_.get()));
  }
  return Statement{statement, file_};
}

Transaction::Transaction(Database& database) : database_{database} {
  database_.execute("BEGIN");
}

Transaction::~Transaction() {
  if (is_open_) {
    try {
      database_.execute("ROLLBACK");
    } catch (const Error&) {
      // The file is gone or broken: SQLite rolls back when it is opened again.
    }
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  is_open_ = false;
}

}  // namespace perwatt::store
