#include "base/error.h"
#include "base/files.h"
#include "store/migrations.h"
#include "store/run_id.h"
#include "store/run_store.h"
#include "support/base_read_only.h"
#include "support/base_results.h"

#include <QtTest>

#include <algorithm>
#include <fstream>
#include <functional>
#include <limits>
#include <set>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

using namespace qw;
using test::ReadOnlyFolder;
using test::sampleResult;

namespace {
QString refusal(ErrorCode expected, const std::function<void()>& action)
{
    try {
        action();
    } catch (const Error& problem) {
        return (problem.code() == expected ? QString() : QStringLiteral("wrong code: ")) +
               QString::fromUtf8(problem.what());
    }
    return QStringLiteral("was not refused");
}
} // namespace

class TestRunStore : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init()
    {
        m_folder = std::make_unique<QTemporaryDir>();
        m_file = m_folder->path().toStdString() + "/new folder/runs.sqlite";
    }
    void savedRunComesBackWhole();
    void savingAgainKeepsNotesAndTags();
    void secondOpeningChangesNothing();
    void idsAreUniqueAndSorted();
    void prefixes();
    void filters();
    void onlyAnUnfinishedRunIsClosed();
    void runsOfLayer();
    void trainedTotals();
    void onlyOpenedIfThere();
    void readWhereNothingCanBeWritten();
    void removeRestorePurge();
    void spectra();
    void newerFileIsRefused();
    void foreignFileIsRefused();
    void damagedFileIsRefused();
    void upgradeKeepsRunsAndACopy();
    void failedUpgradeLeavesTheFileAlone();
    void connectionsTakeTurns();
    void foundOrNotWhileAnotherDeletes();
    void snapshotLeavesNoTransaction();
    void changesTogether();
    void processesCreateTogether();
    void survivesKill();
    void mergeTwiceAddsNothing();
    void mergeLeavesTheOtherFileAlone();
    void mergeOfAnOlderStore();
    void mergeOfWhatIsNotThere();
    void unreadableRunDoesNotHideTheOthers();
    void manyRunsListQuickly();

private:
    /// Files beside the store that a merge made and did not remove.
    std::vector<std::string> leftOfMerges() const
    {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(m_file.parent_path())) {
            const std::string name = entry.path().filename().string();
            if (name.find("merged") != std::string::npos) {
                names.push_back(name);
            }
        }
        return names;
    }

    std::unique_ptr<QTemporaryDir> m_folder;
    std::filesystem::path m_file;
};

void TestRunStore::savedRunComesBackWhole()
{
    const RunResult run = sampleResult("run1");
    RunStore(m_file).save(run);
    const RunStore store(m_file);
    QVERIFY(store.get("run1") == run);
    QVERIFY(!store.find("other"));
    const auto list = store.list();
    QCOMPARE(list.size(), 1U);
    RunResult listed = run;
    listed.layers.clear();
    listed.blocks.clear();
    listed.training = {};
    QVERIFY(list[0].result == listed);
}

void TestRunStore::savingAgainKeepsNotesAndTags()
{
    RunStore store(m_file);
    RunResult run = sampleResult("run1");
    run.status = "running";
    store.save(run);
    store.tag("run1", "good");
    store.tag("run1", "baseline");
    store.tag("run1", "good");
    store.setNotes("run1", "what I saw");
    store.setStarred("run1", true);
    run.status = "finished";
    run.layers.pop_back();
    store.save(run);
    QVERIFY(store.get("run1") == run);
    const RunSummary summary = store.list().at(0);
    QVERIFY(summary.tags == (std::vector<std::string>{"baseline", "good"}));
    QCOMPARE(summary.notes, std::string("what I saw"));
    QVERIFY(summary.starred);
    store.untag("run1", "good");
    QVERIFY(store.list().at(0).tags == std::vector<std::string>{"baseline"});
    QVERIFY(refusal(ErrorCode::NotFound, [&] { store.tag("none", "x"); }).startsWith("no run"));
}

void TestRunStore::secondOpeningChangesNothing()
{
    RunStore(m_file).save(sampleResult("run1"));
    const std::string before = readTextFile(m_file);
    RunStore{m_file};
    QVERIFY(readTextFile(m_file) == before);
}

void TestRunStore::idsAreUniqueAndSorted()
{
    std::vector<std::string> ids;
    for (int i = 0; i < 2000; ++i) {
        ids.push_back(makeRunId());
    }
    QVERIFY(std::is_sorted(ids.begin(), ids.end()));
    QCOMPARE(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
    for (const std::string& id : ids) {
        QCOMPARE(id.size(), 12U);
        QVERIFY(id.find_first_not_of("0123456789") != std::string::npos);
    }
}

void TestRunStore::prefixes()
{
    RunStore store(m_file);
    for (const char* id : {"abc1", "abc2", "abc", "xyz"}) {
        store.save(sampleResult(id));
    }
    QCOMPARE(store.get("x").id, std::string("xyz"));
    QCOMPARE(store.get("abc").id, std::string("abc")); // exact before longer
    const QString said = refusal(ErrorCode::BadInput, [&] { store.find("ab"); });
    QVERIFY2(said.startsWith("several runs begin with \"ab\""), qPrintable(said));
    QVERIFY(refusal(ErrorCode::NotFound, [&] { store.get(""); }).startsWith("no run"));
    QVERIFY(refusal(ErrorCode::NotFound, [&] { store.get("%"); }).startsWith("no run"));
}

void TestRunStore::filters()
{
    RunStore store(m_file);
    for (int i = 0; i < 4; ++i) {
        RunResult run = sampleResult("run" + std::to_string(i));
        run.spec.method = i % 2 ? "rtn" : "lqer";
        run.sweep = i < 3 ? "s" : "";
        run.started = "2026-01-0" + std::to_string(9 - i);
        store.save(run);
    }
    store.tag("run1", "t");
    const auto ids = [&](const RunFilter& filter) {
        std::string all;
        for (const RunSummary& summary : store.list(filter)) {
            all += summary.result.id.back();
        }
        return all;
    };
    RunFilter method, sweep, tag, limit, status;
    method.method = "rtn";
    sweep.sweep = "s";
    tag.tag = "t";
    limit.limit = 2;
    status.status = "failed";
    QCOMPARE(ids({}), std::string("0123")); // newest first, by start and not by id
    QCOMPARE(ids(method), std::string("13"));
    QCOMPARE(ids(sweep), std::string("012"));
    QCOMPARE(ids(tag), std::string("1"));
    QCOMPARE(ids(limit), std::string("01"));
    QCOMPARE(ids(status), std::string());
}

void TestRunStore::onlyAnUnfinishedRunIsClosed()
{
    RunStore store(m_file);
    RunResult running = sampleResult("run1");
    running.status = "running";
    store.save(running);
    store.save(sampleResult("run2"));
    for (const char* id : {"run1", "run2"}) {
        store.setStatus(id, "cancelled", "it said \"no\"");
    }
    running.status = "cancelled";
    running.problem = "it said \"no\"";
    QVERIFY(store.get("run1") == running); // every number as it was, and the layers
    RunFilter filter;
    filter.status = "cancelled";
    QCOMPARE(store.list(filter).size(), 1U);
    QVERIFY(store.get("run2") == sampleResult("run2"));
    running.id = "run3";
    running.status = "queued";
    store.save(running);
    store.setStatus("run3", "cancelled", "it did not begin");
    QCOMPARE(store.get("run3").status, std::string("cancelled"));
}

void TestRunStore::runsOfLayer()
{
    RunStore store(m_file);
    store.save(sampleResult("aaaaaaaa1111"));
    RunResult newer = sampleResult("bbbbbbbb2222");
    newer.started = "2026-06-06T07:08:09Z";
    newer.layers = {newer.layers.back()};
    store.save(newer);
    RunResult unfinished = sampleResult("cccccccc3333");
    unfinished.status = "running";
    store.save(unfinished);
    RunResult other = sampleResult("dddddddd4444");
    other.spec.model = "/another/model";
    store.save(other);
    store.save(sampleResult("eeeeeeee5555"));
    store.remove("eeeeeeee5555");
    const std::vector<RunResult> runs = store.runsOfLayer("demo", "a.k_proj");
    QCOMPARE(runs.size(), 2U);
    QVERIFY(runs[0] == newer); // it has no singular values
    QCOMPARE(QString::fromStdString(runs[1].id), QStringLiteral("aaaaaaaa1111"));
    QVERIFY(runs[1].layers == std::vector{sampleResult("x").layers[1]});
    const std::vector<RunResult> first = store.runsOfLayer("demo", "a.q_proj");
    QCOMPARE(first.size(), 1U);
    LayerResult expected = sampleResult("x").layers[0];
    expected.singularValues.clear();
    QVERIFY(first[0].layers == std::vector{expected});
    QVERIFY(store.runsOfLayer("demo", "a.v_proj").empty());
}

void TestRunStore::trainedTotals()
{
    RunStore store(m_file);
    RunResult run = sampleResult("run1");
    run.layers[1].trainRank = 9;
    run.layers[1].trainedParameters = 1000;
    run.spec.method = "lrq";
    store.save(run);
    QVERIFY(store.list().at(0).result.listedTotals == (TrainedTotals{9, 1910}));
    QVERIFY(qw::trainedTotals(store.get("run1")) == (TrainedTotals{9, 1910}));
    run.spec.method = "rtn"; // which learns nothing: its layers are not looked through
    store.save(run);
    QVERIFY(store.list().at(0).result.listedTotals == TrainedTotals{});
}

void TestRunStore::onlyOpenedIfThere()
{
    const QString said =
        refusal(ErrorCode::NotFound, [&] { RunStore(m_file, StoreAccess::Existing); });
    QVERIFY2(said.contains("there is no such run store"), qPrintable(said));
    QVERIFY(RunStore(m_file, StoreAccess::ExistingOrNone).list().empty());
    QVERIFY(!std::filesystem::exists(m_file.parent_path()));
    RunStore(m_file).save(sampleResult("run1"));
    RunStore(m_file, StoreAccess::Existing).tag("run1", "good");
    QVERIFY(RunStore(m_file, StoreAccess::ExistingOrNone).list().at(0).tags ==
            std::vector<std::string>{"good"});
}

void TestRunStore::readWhereNothingCanBeWritten()
{
    namespace fs = std::filesystem;
    const fs::path file = m_file.parent_path() / "100% of #1?.sqlite";
    RunStore(file).save(sampleResult("run1"));
    fs::permissions(file.parent_path().parent_path(), fs::perms(0755));
    const ReadOnlyFolder bound(file.parent_path());
    RunStore store(file, StoreAccess::Existing);
    QVERIFY(store.get("run1") == sampleResult("run1"));
    QCOMPARE(store.list().size(), 1U);
    QVERIFY(!store.writable());
    QVERIFY(refusal(ErrorCode::Store, [&] { store.tag("run1", "x"); }).contains("readonly"));
    const RunStore window(file); // whoever would make one reads it, too, and is told before working
    QCOMPARE(window.list().size(), 1U);
    QVERIFY(refusal(ErrorCode::Store, [&] { window.requireWritable(); }).contains("only be read"));
    QVERIFY(refusal(ErrorCode::Store, [&] { RunStore(file.parent_path()); }).contains("a folder"));
    const QTemporaryDir elsewhere;
    RunStore into(fs::path(elsewhere.path().toStdString()) / "into.sqlite");
    QVERIFY(into.writable());
    QCOMPARE(into.mergeFrom(file).added, 1);
    QVERIFY(into.get("run1") == sampleResult("run1"));
    const fs::path longer = file.parent_path() / std::string(300, 'x');
    QVERIFY(refusal(ErrorCode::Store, [&] {
                RunStore(longer, StoreAccess::Existing);
            }).contains("cannot be reached"));
}

void TestRunStore::removeRestorePurge()
{
    RunStore store(m_file);
    store.save(sampleResult("run1"));
    store.save(sampleResult("run2"));
    store.remove("run1");
    QCOMPARE(store.list().size(), 1U);
    QVERIFY(!store.find("run1"));
    QVERIFY(store.removed().at(0) == sampleResult("run1"));
    store.restore("run1");
    QCOMPARE(store.list().size(), 2U);
    store.remove("run1");
    store.purge({"run1"});
    QCOMPARE(store.removed().size(), 1U);
    store.purge();
    QVERIFY(store.removed().empty());
    QVERIFY(refusal(ErrorCode::NotFound, [&] { store.restore("run1"); }).startsWith("no run"));
    Database db(m_file);
    QCOMPARE(db.number("SELECT count(*) FROM layers"), 2); // of run2: the other's went with it
    QVERIFY(store.get("run2") == sampleResult("run2"));
}

void TestRunStore::spectra()
{
    RunStore store(m_file);
    QVERIFY(!store.findSpectrum("key"));
    const std::vector<double> values{3, 1.0 / 3, 5e-324};
    store.saveSpectrum("key", {1});
    store.saveSpectrum("key", values);
    QVERIFY(store.findSpectrum("key") == values);
}

void TestRunStore::newerFileIsRefused()
{
    RunStore{m_file};
    Database(m_file).execute("PRAGMA user_version = 99");
    const QString said = refusal(ErrorCode::Store, [&] { RunStore{m_file}; });
    QVERIFY2(said.contains("was written by a newer version"), qPrintable(said));
    QVERIFY(said.startsWith(QString::fromStdString(m_file.string())));
}

void TestRunStore::foreignFileIsRefused()
{
    std::filesystem::create_directories(m_file.parent_path());
    Database(m_file).execute("CREATE TABLE theirs (x)");
    const QString said = refusal(ErrorCode::Store, [&] { RunStore{m_file}; });
    QVERIFY2(said.contains("of another program"), qPrintable(said));
}

void TestRunStore::damagedFileIsRefused()
{
    std::filesystem::create_directories(m_file.parent_path());
    std::ofstream(m_file) << std::string(8192, 'x');
    const QString said = refusal(ErrorCode::BadFile, [&] { RunStore{m_file}; });
    QVERIFY2(said.contains("damaged or is no run store"), qPrintable(said));
    QVERIFY(readTextFile(m_file) == std::string(8192, 'x'));
}

void TestRunStore::upgradeKeepsRunsAndACopy()
{
    RunStore(m_file).save(sampleResult("run1"));
    Database db(m_file);
    std::vector<std::string_view> steps(storeMigrations().begin(), storeMigrations().end());
    steps.emplace_back("ALTER TABLE runs ADD COLUMN colour TEXT");
    migrate(db, steps);
    migrate(db, steps);
    const auto next = static_cast<std::int64_t>(steps.size());
    QCOMPARE(db.number("PRAGMA user_version"), next);
    QCOMPARE(db.number("SELECT count(*) FROM runs WHERE colour IS NULL"), 1);
    const RunStore copy(m_file.string() + ".before-v" + std::to_string(next));
    QVERIFY(copy.get("run1") == sampleResult("run1"));
}

void TestRunStore::failedUpgradeLeavesTheFileAlone()
{
    RunStore(m_file).save(sampleResult("run1"));
    Database db(m_file);
    std::vector<std::string_view> steps(storeMigrations().begin(), storeMigrations().end());
    steps.emplace_back("DELETE FROM runs");
    steps.emplace_back("ALTER TABLE nothing ADD COLUMN x");
    QVERIFY(refusal(ErrorCode::Store, [&] { migrate(db, steps); }).contains("nothing"));
    QVERIFY(RunStore(m_file).get("run1") == sampleResult("run1"));
}

void TestRunStore::connectionsTakeTurns()
{
    RunStore{m_file};
    std::vector<std::thread> writers;
    for (int writer = 0; writer < 3; ++writer) {
        writers.emplace_back([this, writer] {
            RunStore store(m_file);
            for (int i = 0; i < 40; ++i) {
                store.save(sampleResult(std::to_string(writer) + "-" + std::to_string(i)));
            }
        });
    }
    for (std::thread& writer : writers) {
        writer.join();
    }
    QCOMPARE(RunStore(m_file).list().size(), 120U);
}

void TestRunStore::foundOrNotWhileAnotherDeletes()
{
    const RunResult run = sampleResult("run1");
    RunStore(m_file).save(run);
    const std::jthread another([this](const std::stop_token& stop) {
        RunStore store(m_file);
        while (!stop.stop_requested()) {
            store.remove("run1");
            store.restore("run1");
        }
    });
    const RunStore store(m_file);
    int found = 0;
    const QString problem = refusal(ErrorCode::NotFound, [&] {
        for (int i = 0; i < 2000; ++i) {
            const std::optional<RunResult> now = store.find("run1");
            found += now == run ? 1 : 0;
        }
    });
    QCOMPARE(problem, QStringLiteral("was not refused"));
    QVERIFY(found > 0);
}

void TestRunStore::snapshotLeavesNoTransaction()
{
    RunStore(m_file).save(sampleResult("run1"));
    Database db(m_file);
    db.execute("PRAGMA foreign_keys = ON");
    {
        const Snapshot snapshot(db); // which cannot end as it is: no such run
        db.execute("PRAGMA defer_foreign_keys = ON; INSERT INTO tags VALUES ('run2', 'tag')");
    }
    Transaction(db).commit(); // else refused, as one within another
    QCOMPARE(db.number("SELECT count(*) FROM tags"), 0);
}

void TestRunStore::changesTogether()
{
    RunStore store(m_file);
    store.save(sampleResult("run1"));
    store.together([&] {
        store.setStarred("run1", true);
        store.tag("run1", "kept");
    });
    QCOMPARE(refusal(ErrorCode::NotFound,
                     [&] {
                         store.together([&] {
                             store.setNotes("run1", "lost");
                             store.tag("run2", "of no run");
                         });
                     }),
             QString::fromStdString("no run \"run2\" in " + m_file.string()));
    const RunSummary run = store.list().front();
    QVERIFY(run.starred);
    QCOMPARE(run.tags, std::vector<std::string>{"kept"});
    QCOMPARE(run.notes, std::string());

    RunStore other(m_file);
    other.setPatience(std::chrono::milliseconds(1));
    store.together([&] {
        const QString held = refusal(ErrorCode::Io, [&] { other.setStarred("run1", false); });
        QVERIFY2(held.contains(QStringLiteral("another program holds it")), qPrintable(held));
    });
    other.setStarred("run1", false);
    QVERIFY(!store.list().front().starred);
}

void TestRunStore::processesCreateTogether()
{
    constexpr int kProcesses = 6;
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            try {
                RunStore(m_file).save(sampleResult("run" + std::to_string(i)));
                ::_exit(0);
            } catch (const std::exception& problem) {
                ::fprintf(stderr, "%s\n", problem.what());
                ::_exit(1);
            }
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = -1;
        ::waitpid(child, &status, 0);
        QCOMPARE(status, 0);
    }
    QCOMPARE(RunStore(m_file).list().size(), std::size_t{kProcesses});
}

void TestRunStore::survivesKill()
{
    // A writer saves runs as fast as it can and is killed at some moment; whatever is in the file
    // then is whole.
    std::size_t stored = 0;
    for (int round = 0; round < 8; ++round) {
        const pid_t child = ::fork();
        if (child == 0) {
            RunStore store(m_file);
            for (int i = 0;; ++i) {
                store.save(sampleResult(std::to_string(round) + "-" + std::to_string(i)));
            }
        }
        ::usleep(static_cast<useconds_t>(40000 + 7919 * round));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        const RunStore store(m_file);
        for (const RunSummary& summary : store.list()) {
            QVERIFY(store.get(summary.result.id) == sampleResult(summary.result.id));
        }
        QVERIFY(store.list().size() >= stored);
        stored = store.list().size();
    }
    QVERIFY(stored > 0);
    Database db(m_file);
    Statement check(db, "PRAGMA integrity_check");
    QVERIFY(check.step());
    QCOMPARE(check.text(0), std::string("ok"));
}

void TestRunStore::mergeTwiceAddsNothing()
{
    const std::filesystem::path otherFile = m_folder->path().toStdString() + "/it's other.sqlite";
    {
        RunStore other(otherFile);
        for (const char* id : {"a", "b", "c", "deleted"}) {
            other.save(sampleResult(id));
        }
        other.tag("b", "shard");
        other.setNotes("b", "note");
        other.remove("deleted");
        other.saveSpectrum("key", {2});
    }
    RunStore store(m_file);
    RunResult mine = sampleResult("a");
    mine.seconds = 1;
    store.save(mine);
    const MergeReport first = store.mergeFrom(otherFile);
    QCOMPARE(first.added, 2);
    QCOMPARE(first.alreadyThere, 1);
    const MergeReport second = store.mergeFrom(otherFile);
    QCOMPARE(second.added, 0);
    QCOMPARE(second.alreadyThere, 3);
    QCOMPARE(store.list().size(), 3U);
    QVERIFY(store.get("a") == mine);
    QVERIFY(store.get("b") == sampleResult("b"));
    RunFilter tagged;
    tagged.tag = "shard";
    QCOMPARE(store.list(tagged).at(0).notes, std::string("note"));
    QVERIFY(store.findSpectrum("key") == std::vector<double>{2});
    // A run that was at work in the first merge and is finished in the next.
    RunResult begun = sampleResult("c");
    begun.status = "running";
    begun.layers.clear();
    store.save(begun);
    store.setNotes("c", "mine");
    QCOMPARE(store.mergeFrom(otherFile).added, 1);
    QVERIFY(store.get("c") == sampleResult("c"));
    QCOMPARE(store.list().size(), 3U);
    QCOMPARE(store.mergeFrom(otherFile).added, 0);
}

void TestRunStore::mergeLeavesTheOtherFileAlone()
{
    const std::filesystem::path otherFile = m_folder->path().toStdString() + "/other.sqlite";
    RunStore(otherFile).save(sampleResult("a"));
    const std::string before = readTextFile(otherFile);
    RunStore store(m_file);
    QCOMPARE(store.mergeFrom(otherFile).added, 1);
    QVERIFY(readTextFile(otherFile) == before);
    QCOMPARE(leftOfMerges(), std::vector<std::string>());
}

void TestRunStore::mergeOfAnOlderStore()
{
    const std::filesystem::path otherFile = m_folder->path().toStdString() + "/other.sqlite";
    RunResult run = sampleResult("a");
    for (LayerResult& layer : run.layers) { // what the first layout did not keep
        layer.trainRank = 0;
        layer.trainedParameters = 0;
        layer.moved0 = layer.moved1 = layer.moved2plus = kMissing;
    }
    RunStore(otherFile).save(run);
    {
        Database older(otherFile);
        for (const char* column :
             {"train_rank", "trained_parameters", "moved_0", "moved_1", "moved_2plus"}) {
            older.execute(std::string("ALTER TABLE layers DROP COLUMN ") + column);
        }
        older.execute("PRAGMA user_version = 1");
    }
    const std::string before = readTextFile(otherFile);
    RunStore store(m_file);
    QCOMPARE(store.mergeFrom(otherFile).added, 1);
    QVERIFY(store.get("a") == run);
    QVERIFY(readTextFile(otherFile) == before);
    QCOMPARE(leftOfMerges(), std::vector<std::string>());
}

void TestRunStore::unreadableRunDoesNotHideTheOthers()
{
    RunStore store(m_file);
    store.save(sampleResult("a"));
    store.save(sampleResult("b"));
    Database db(m_file);
    db.execute("UPDATE runs SET body = '{\"of_a_later_version\": 1}' WHERE id = 'a'");
    const std::vector<RunSummary> runs = store.list();
    QCOMPARE(runs.size(), 2U);
    for (const RunSummary& run : runs) {
        QCOMPARE(run.result.status == "unreadable", run.result.id == "a");
        QCOMPARE(run.result.problem.find("damaged") != std::string::npos, run.result.id == "a");
    }
    QVERIFY(refusal(ErrorCode::Store, [&] { store.get("a"); }).contains("run a is damaged"));
}

void TestRunStore::mergeOfWhatIsNotThere()
{
    RunStore store(m_file);
    const auto merge = [&](const std::filesystem::path& file) {
        return [&store, file] { store.mergeFrom(file); };
    };
    QVERIFY(refusal(ErrorCode::NotFound, merge("nowhere.sqlite")).contains("no such run store"));
    QVERIFY(!std::filesystem::exists("nowhere.sqlite"));
    QVERIFY(refusal(ErrorCode::BadInput, merge(m_file)).contains("is this store itself"));
}

void TestRunStore::manyRunsListQuickly()
{
    constexpr int kRuns = 1000;
    constexpr int kLayers = 20;
    constexpr qint64 kMilliseconds = 2000; // some 100 are needed; loaded machines are slower
    RunStore store(m_file);
    RunResult run = sampleResult("first");
    run.layers.assign(kLayers, run.layers.front());
    for (int i = 0; i < kRuns; ++i) {
        run.id = makeRunId();
        store.save(run);
    }
    QElapsedTimer timer;
    timer.start();
    const auto list = store.list();
    const qint64 took = timer.elapsed();
    qInfo("listing %d runs took %lld ms", kRuns, static_cast<long long>(took));
    QCOMPARE(list.size(), std::size_t{kRuns});
    QVERIFY(list.front().result.layers.empty());
    QVERIFY(list.front().result.id > list.back().result.id);
    QVERIFY(took < kMilliseconds);
}

QTEST_GUILESS_MAIN(TestRunStore)
#include "tst_run_store.moc"
