#include <QRegularExpression>
#include <QTemporaryDir>
#include <QTest>

#include "app/gui/dialogs.h"
#include "app/gui/settings.h"
#include "app/gui/store_choice.h"
#include "store/run_store.h"
#include "store/sqlite_db.h"
#include "support/base_read_only.h"

using namespace Qt::Literals::StringLiterals;
using qw::usableStore;
using Key = qw::Settings::Key;

/// A store that cannot be opened at the start of the window.
class TstStoreChoice : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init();
    void oneThatOpensIsTaken();
    void anotherStandsInForThatOfTheSettings();
    void anotherStandsInForThatOfTheCommandLine();
    void theDefaultOneIsOffered();
    void givingUpChangesNothing();
    void anOlderOneThatCannotBeWrittenIsExplained();

private:
    QString file(const QString& name) const { return m_folder->filePath(name); }
    /// A store whose layout has that number.
    QString storeOf(const QString& name, int version) const
    {
        const std::string path = file(name).toStdString();
        qw::RunStore{path};
        qw::Database(path).execute("PRAGMA user_version = " + std::to_string(version));
        return file(name);
    }
    static void expect(const char* sentence)
    {
        QTest::ignoreMessage(QtCriticalMsg, QRegularExpression(QString::fromLatin1(sentence)));
    }

    std::unique_ptr<QTemporaryDir> m_folder;
    std::unique_ptr<qw::Settings> m_settings;
    qw::Dialogs m_dialogs;
};

void TstStoreChoice::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    qputenv("XDG_DATA_HOME", file(u"data"_s).toUtf8());
    m_settings = std::make_unique<qw::Settings>(file(u"settings.ini"_s));
}

void TstStoreChoice::oneThatOpensIsTaken()
{
    QCOMPARE(usableStore(*m_settings, m_dialogs, {}), std::optional(QString()));
    QCOMPARE(usableStore(*m_settings, m_dialogs, file(u"new.sqlite"_s)),
             std::optional(file(u"new.sqlite"_s)));
    QVERIFY(m_settings->text(Key::StoreFile).isEmpty());
}

void TstStoreChoice::anotherStandsInForThatOfTheSettings()
{
    m_settings->set(Key::StoreFile, storeOf(u"newer.sqlite"_s, 99));
    expect("was written by a newer version");
    m_dialogs.setNextChoice(0);
    m_dialogs.setNextPath(file(u"other.sqlite"_s));
    QCOMPARE(usableStore(*m_settings, m_dialogs, {}), std::optional(QString()));
    QCOMPARE(m_settings->text(Key::StoreFile), file(u"other.sqlite"_s));
}

void TstStoreChoice::anotherStandsInForThatOfTheCommandLine()
{
    m_settings->set(Key::StoreFile, file(u"own.sqlite"_s));
    expect("was written by a newer version");
    m_dialogs.setNextChoice(0);
    m_dialogs.setNextPath(file(u"other.sqlite"_s));
    QCOMPARE(usableStore(*m_settings, m_dialogs, storeOf(u"newer.sqlite"_s, 99)),
             std::optional(file(u"other.sqlite"_s)));
    QCOMPARE(m_settings->text(Key::StoreFile), file(u"own.sqlite"_s)); // this time only
}

void TstStoreChoice::theDefaultOneIsOffered()
{
    m_settings->set(Key::StoreFile, m_folder->path());
    expect("this is a folder");
    m_dialogs.setNextChoice(1);
    QCOMPARE(usableStore(*m_settings, m_dialogs, {}), std::optional(QString()));
    QVERIFY(m_settings->text(Key::StoreFile).isEmpty());
}

void TstStoreChoice::givingUpChangesNothing()
{
    const QString newer = storeOf(u"newer.sqlite"_s, 99);
    m_settings->set(Key::StoreFile, newer);
    expect("was written by a newer version");
    m_dialogs.setNextChoice(-1);
    QCOMPARE(usableStore(*m_settings, m_dialogs, {}), std::nullopt);
    QCOMPARE(m_settings->text(Key::StoreFile), newer);
}

void TstStoreChoice::anOlderOneThatCannotBeWrittenIsExplained()
{
    const QTemporaryDir shelf;
    const QString older = shelf.filePath(u"older.sqlite"_s);
    qw::RunStore{older.toStdString()};
    qw::Database(older.toStdString()).execute("PRAGMA user_version = 1");
    const qw::test::ReadOnlyFolder bound(shelf.path().toStdString());
    expect("was written by an older version");
    m_dialogs.setNextChoice(-1);
    QCOMPARE(usableStore(*m_settings, m_dialogs, older), std::nullopt);
}

QTEST_MAIN(TstStoreChoice)
#include "tst_store_choice.moc"
