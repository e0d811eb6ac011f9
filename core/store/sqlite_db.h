#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace qw {

/// Whether the file and its folder can, in which SQLite makes files of its own.
bool canBeWritten(const std::filesystem::path& file);

/// One connection to an SQLite file; waits for other writers instead of failing at once.
class Database
{
public:
    enum class Mode {
        Create,   ///< opened, or made if it is not there
        ReadOnly, ///< also where nothing can be written, its folder included
        Empty,    ///< an empty one in memory, in the place of a file that is not there
    };
    /// @throws Error::Store, Io naming the file
    explicit Database(const std::filesystem::path& file, Mode mode = Mode::Create);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    /// Runs statements that return nothing of interest. @throws Error::Store
    void execute(const std::string& sql);
    /// As execute, but false if another connection is in the way.
    bool tryExecute(const std::string& sql);
    /// First column of the first row. @throws Error::Store
    std::int64_t number(const std::string& sql);
    /// How long to wait for another connection that is in the way.
    void setPatience(std::chrono::milliseconds patience);
    const std::filesystem::path& file() const { return m_file; }
    sqlite3* handle() const { return m_handle; }
    /// What SQLite says went wrong last, as a sentence naming the file.
    [[noreturn]] void fail(const std::string& doing) const;

private:
    void close();
    std::filesystem::path m_file;
    sqlite3* m_handle = nullptr;
};

/// A prepared statement. Parameters and columns are used in order; NaN and infinity become NULL.
class Statement
{
public:
    Statement(Database& db, std::string_view sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(std::int64_t value);
    Statement& bind(double value);
    Statement& bind(std::string_view value);
    Statement& bindBlob(const std::vector<double>& values);

    /// True while there is a row. @throws Error::Store
    bool step();
    /// Runs to the end and is ready to be bound again.
    void run();

    std::int64_t integer(int column) const;
    double real(int column) const; ///< NULL is NaN
    std::string text(int column) const;
    /// @throws Error::Store if the size is no multiple of 8
    std::vector<double> blob(int column) const;

private:
    void check(int code);
    Database& m_db;
    sqlite3_stmt* m_statement = nullptr;
    int m_next = 1;
};

/// All or nothing: rolls back unless committed. Takes the write lock at once, so that nobody is
/// refused in the middle.
class Transaction
{
public:
    explicit Transaction(Database& db);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void commit();

private:
    Database& m_db;
    bool m_open = true;
};

/// While it lives, what is read is of one moment, whatever other connections change.
class Snapshot
{
public:
    explicit Snapshot(Database& db);
    ~Snapshot();
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;

private:
    Database& m_db;
};

} // namespace qw
