#include "store/sqlite_db.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/error.h"

namespace qw {

namespace {
/// Long enough for another process to finish a transaction on a slow disk.
constexpr std::chrono::milliseconds kPatience = std::chrono::seconds(20);

/// The file as SQLite reads it without making others beside it, and without locks: nobody may be
/// writing. It can only if nothing waits in a write-ahead log, which a finished program does not
/// leave.
std::string asImmutable(const std::filesystem::path& file)
{
    constexpr const char* kHex = "0123456789ABCDEF";
    std::string uri = "file:";
    for (const char c : std::filesystem::absolute(file).string()) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '%' || c == '?' || c == '#') {
            uri += {'%', kHex[byte >> 4], kHex[byte & 15]};
        } else {
            uri += c;
        }
    }
    return uri + "?immutable=1";
}

/// What to open, and how.
std::pair<std::string, int> openingOf(const std::filesystem::path& file, Database::Mode mode)
{
    constexpr int kWrite = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    switch (mode) {
    case Database::Mode::Create:
        return {file.string(), kWrite};
    case Database::Mode::Empty:
        return {":memory:", kWrite};
    case Database::Mode::ReadOnly:
        break;
    }
    std::error_code ignored;
    const auto waiting = std::filesystem::file_size(file.string() + "-wal", ignored);
    const bool whole = static_cast<bool>(ignored) || waiting == 0;
    return {whole ? asImmutable(file) : file.string(),
            SQLITE_OPEN_READONLY | (whole ? SQLITE_OPEN_URI : 0)};
}
} // namespace

bool canBeWritten(const std::filesystem::path& file)
{
    const std::filesystem::path folder = std::filesystem::absolute(file).parent_path();
    return ::faccessat(AT_FDCWD, file.c_str(), W_OK, AT_EACCESS) == 0 &&
           ::faccessat(AT_FDCWD, folder.c_str(), W_OK, AT_EACCESS) == 0;
}

Database::Database(const std::filesystem::path& file, Mode mode) : m_file(file)
{
    const auto [name, flags] = openingOf(file, mode);
    if (sqlite3_open_v2(name.c_str(), &m_handle, flags | SQLITE_OPEN_NOMUTEX, nullptr) !=
        SQLITE_OK) {
        const std::string why = m_handle != nullptr ? sqlite3_errmsg(m_handle) : "out of memory";
        close();
        throw Error(ErrorCode::Store,
                    message(file.string(), ": the run store cannot be opened: ", why));
    }
    sqlite3_extended_result_codes(m_handle, 1);
    setPatience(kPatience);
}

Database::~Database()
{
    close();
}

void Database::close()
{
    sqlite3_close(m_handle);
    m_handle = nullptr;
}

void Database::setPatience(std::chrono::milliseconds patience)
{
    sqlite3_busy_timeout(m_handle, static_cast<int>(patience.count()));
}

void Database::execute(const std::string& sql)
{
    if (sqlite3_exec(m_handle, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
        fail("cannot be written");
    }
}

bool Database::tryExecute(const std::string& sql)
{
    const int code = sqlite3_exec(m_handle, sql.c_str(), nullptr, nullptr, nullptr) & 0xff;
    if (code != SQLITE_OK && code != SQLITE_BUSY && code != SQLITE_LOCKED) {
        fail("cannot be written");
    }
    return code == SQLITE_OK;
}

std::int64_t Database::number(const std::string& sql)
{
    Statement statement(*this, sql);
    return statement.step() ? statement.integer(0) : 0;
}

void Database::fail(const std::string& doing) const
{
    const int code = sqlite3_errcode(m_handle) & 0xff;
    const bool held = code == SQLITE_BUSY || code == SQLITE_LOCKED;
    const std::string sentence = m_file.string() + ": the run store " + doing + ": ";
    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT) {
        throw Error(ErrorCode::BadFile, m_file.string() +
                                            ": the file is damaged or is no run store (" +
                                            sqlite3_errmsg(m_handle) + ")");
    }
    if (held) {
        throw Error(ErrorCode::Io,
                    sentence + "another program holds it (" + sqlite3_errmsg(m_handle) + ")");
    }
    throw Error(code == SQLITE_FULL || code == SQLITE_IOERR ? ErrorCode::Io : ErrorCode::Store,
                sentence + sqlite3_errmsg(m_handle));
}

Statement::Statement(Database& db, std::string_view sql) : m_db(db)
{
    const int size = static_cast<int>(sql.size());
    if (sqlite3_prepare_v2(db.handle(), sql.data(), size, &m_statement, nullptr) != SQLITE_OK) {
        db.fail("cannot be used");
    }
}

Statement::~Statement()
{
    sqlite3_finalize(m_statement);
}

void Statement::check(int code)
{
    if (code != SQLITE_OK) {
        m_db.fail("cannot be used");
    }
}

Statement& Statement::bind(std::int64_t value)
{
    check(sqlite3_bind_int64(m_statement, m_next++, value));
    return *this;
}

Statement& Statement::bind(double value)
{
    check(std::isfinite(value) ? sqlite3_bind_double(m_statement, m_next, value)
                               : sqlite3_bind_null(m_statement, m_next));
    ++m_next;
    return *this;
}

Statement& Statement::bind(std::string_view value)
{
    // An empty view may hold a null pointer, which SQLite would store as NULL.
    const char* data = value.data() != nullptr ? value.data() : "";
    check(sqlite3_bind_text64(m_statement, m_next++, data, value.size(), SQLITE_TRANSIENT,
                              SQLITE_UTF8));
    return *this;
}

Statement& Statement::bindBlob(const std::vector<double>& values)
{
    const void* data = values.empty() ? static_cast<const void*>("") : values.data();
    check(sqlite3_bind_blob64(m_statement, m_next++, data, values.size() * sizeof(double),
                              SQLITE_TRANSIENT));
    return *this;
}

bool Statement::step()
{
    const int code = sqlite3_step(m_statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        m_db.fail("cannot be used");
    }
    return code == SQLITE_ROW;
}

void Statement::run()
{
    while (step()) {
    }
    check(sqlite3_reset(m_statement));
    m_next = 1;
}

std::int64_t Statement::integer(int column) const
{
    return sqlite3_column_int64(m_statement, column);
}

double Statement::real(int column) const
{
    return sqlite3_column_type(m_statement, column) == SQLITE_NULL
               ? std::numeric_limits<double>::quiet_NaN()
               : sqlite3_column_double(m_statement, column);
}

std::string Statement::text(int column) const
{
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(m_statement, column));
    const int size = sqlite3_column_bytes(m_statement, column);
    return data != nullptr ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::vector<double> Statement::blob(int column) const
{
    const void* data = sqlite3_column_blob(m_statement, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(m_statement, column));
    QW_REQUIRE(size % sizeof(double) == 0, ErrorCode::Store, m_db.file().string(),
               ": the run store is damaged: a list of numbers has ", size,
               " bytes, which is no multiple of 8");
    std::vector<double> values(size / sizeof(double));
    if (size > 0) {
        std::memcpy(values.data(), data, size);
    }
    return values;
}

Transaction::Transaction(Database& db) : m_db(db)
{
    db.execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction()
{
    if (m_open) {
        // After some failures SQLite has rolled back by itself; a second time is harmless.
        sqlite3_exec(m_db.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
}

void Transaction::commit()
{
    m_db.execute("COMMIT");
    m_open = false;
}

Snapshot::Snapshot(Database& db) : m_db(db)
{
    db.execute("SAVEPOINT snapshot"); // and not BEGIN: a transaction may be open already
}

Snapshot::~Snapshot()
{
    const auto run = [this](const char* sql) {
        return sqlite3_exec(m_db.handle(), sql, nullptr, nullptr, nullptr) == SQLITE_OK;
    };
    if (!run("RELEASE snapshot")) { // else the transaction that it began would stay open
        run("ROLLBACK TO snapshot; RELEASE snapshot");
    }
}

} // namespace qw
