#include "model/tokenizer.h"

#include "base/error.h"

#include <QTemporaryDir>
#include <QtTest>

#include <fstream>
#include <nlohmann/json.hpp>

using qw::Error;
using qw::ErrorCode;
using qw::Tokenizer;
using Json = nlohmann::json;
using Ids = std::vector<std::int32_t>;

namespace {

Json golden(const QString& name)
{
    std::ifstream file(std::string(QW_GOLDEN_DIR "/tokenizers/") + name.toStdString());
    return Json::parse(file);
}

} // namespace

/// Every expected id and text comes from the reference library (tests/golden/make_tokenizers.py).
class TestTokenizer : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;

    Tokenizer load(const std::string& text)
    {
        const std::string path = m_folder.filePath("tokenizer.json").toStdString();
        std::ofstream(path, std::ios::binary) << text;
        return Tokenizer::fromFolder(m_folder.path().toStdString());
    }

private Q_SLOTS:
    void equalsTheReference_data()
    {
        QTest::addColumn<QString>("family");
        for (const char* name : {"gpt2", "llama3", "qwen2", "llama2", "neox", "metaspace"}) {
            QTest::newRow(name) << QString(name);
        }
    }
    void equalsTheReference()
    {
        QFETCH(QString, family);
        const Json base = golden(family + ".json");
        const Json texts = golden("texts.json");
        std::size_t compared = 0;
        const Json cases = golden(family + ".cases.json");
        for (const Json& variant : cases["variants"]) {
            Json tree = base;
            tree.merge_patch(variant["patch"]);
            const Tokenizer tokenizer = load(tree.dump());
            const auto step = variant["step"].get<std::size_t>();
            for (std::size_t i = 0; i < variant["rows"].size(); ++i, ++compared) {
                const Json& row = variant["rows"][i];
                const auto text = texts[i * step].get<std::string>();
                const auto ids = row[0].get<Ids>();
                const Ids plain = row[1].is_null() ? ids : row[1].get<Ids>();
                const std::string hint = variant["patch"].dump() + " " + texts[i * step].dump();
                QVERIFY2(tokenizer.encode(text, true) == ids, hint.c_str());
                QVERIFY2(tokenizer.encode(text, false) == plain, hint.c_str());
                QVERIFY2(tokenizer.decode(ids, false) == row[2].get<std::string>(), hint.c_str());
                QVERIFY2(tokenizer.decode(ids, true) == row[3].get<std::string>(), hint.c_str());
            }
        }
        QVERIFY(compared >= 200);
    }

    void replacesInvalidUtf8_data()
    {
        QTest::addColumn<QByteArray>("bytes");
        QTest::addColumn<QByteArray>("valid");
        const QByteArray r = "\xEF\xBF\xBD";
        QTest::newRow("lone continuation") << QByteArray("a\x80z") << "a" + r + "z";
        QTest::newRow("overlong") << QByteArray("\xC0\xAF") << r + r;
        QTest::newRow("surrogate") << QByteArray("\xED\xA0\x80") << r + r + r;
        QTest::newRow("cut short") << QByteArray("\xE2\x82z") << r + "z";
        QTest::newRow("cut at the end") << QByteArray("a\xF0\x9F\x98") << "a" + r;
        QTest::newRow("above U+10FFFF") << QByteArray("\xF4\x90\x80\x80") << r + r + r + r;
    }
    void replacesInvalidUtf8()
    {
        QFETCH(QByteArray, bytes);
        QFETCH(QByteArray, valid);
        const Tokenizer tokenizer = load(golden("gpt2.json").dump());
        const Ids ids = tokenizer.encode(bytes.toStdString());
        QVERIFY(ids == tokenizer.encode(valid.toStdString()));
        QCOMPARE(tokenizer.decode(ids), valid.toStdString());
    }

    void refusesHostileFiles_data()
    {
        QTest::addColumn<QByteArray>("patch"); // RFC 7396, or the whole file
        QTest::addColumn<bool>("unsupported");
        QTest::addColumn<QByteArray>("named");
        const auto row = [](const char* name, const char* patch, bool unsupported,
                            const char* named) {
            QTest::newRow(name) << QByteArray(patch).replace('\'', '"') << unsupported
                                << QByteArray(named);
        };
        row("model", "{'model':{'type':'Unigram'}}", true, "model.type");
        row("dropout", "{'model':{'dropout':0.1}}", true, "model.dropout");
        row("normalizer", "{'normalizer':{'type':'NFKD'}}", true, "normalizer.type");
        row("nested", "{'normalizer':{'type':'Sequence','normalizers':[{'type':'X'}]}}", true,
            "normalizer.normalizers[0].type");
        row("pre-tokenizer", "{'pre_tokenizer':{'type':'Digits'}}", true, "pre_tokenizer.type");
        row("post-processor", "{'post_processor':{'type':'Bert'}}", true, "post_processor.type");
        row("decoder", "{'decoder':{'type':'CTC'}}", true, "decoder.type");
        row("negative id", "{'model':{'vocab':{'a':-1}}}", false, "model.vocab.a");
        row("huge id", "{'model':{'vocab':{'a':16777216}}}", false, "model.vocab.a");
        row("id far beyond", "{'model':{'vocab':{'a':16777215}}}", false, "in a vocabulary of");
        row("float id", "{'model':{'vocab':{'a':1.5}}}", false, "model.vocab.a");
        row("same id", "{'model':{'vocab':{'zz1':5}}}", false, "model.vocab");
        row("vocab", "{'model':{'vocab':[1]}}", false, "model.vocab");
        row("merge of unknowns", "{'model':{'merges':['q zz']}}", false, "model.merges");
        row("merge of three", "{'model':{'merges':['a b c']}}", false, "model.merges");
        row("unknown token", "{'model':{'unk_token':'nope'}}", false, "model.unk_token");
        row("added id", "{'added_tokens':[{'id':-3,'content':'x'}]}", false, "added_tokens[0].id");
        row("added twice",
            "{'added_tokens':[{'id':9000,'content':'x9'},{'id':9000,'content':'y9'}]}", false,
            "added_tokens[1].id");
        row("added over another", "{'added_tokens':[{'id':5,'content':'x9'}]}", false,
            "added_tokens");
        row("regex",
            "{'pre_tokenizer':{'type':'Split','pattern':{'Regex':'(a'},'behavior':'Isolated'}}",
            false, "pre_tokenizer.pattern.Regex");
        row("not JSON", "{\"model\":\n ]", false,
            "is not valid JSON: line 2, column 2: unexpected");
        row("twice", "{'model':1,'model':2}", false, "\"model\" occurs twice");
        row("list", "[1]", false, "expected a JSON object");
        QTest::newRow("deep") << QByteArray(100000, '[') << false << QByteArray("nested deeper");
    }
    void refusesHostileFiles()
    {
        QFETCH(QByteArray, patch);
        QFETCH(bool, unsupported);
        QFETCH(QByteArray, named);
        std::string text = patch.toStdString();
        if (Json::accept(text) && text.front() == '{' && !named.contains("twice")) {
            Json tree = golden("gpt2.json");
            tree.merge_patch(Json::parse(text));
            text = tree.dump();
        }
        try {
            load(text);
            QFAIL("was read");
        } catch (const Error& error) {
            QCOMPARE(error.code() == ErrorCode::Unsupported, unsupported);
            QVERIFY2(std::string(error.what()).find(named.toStdString()) != std::string::npos,
                     error.what());
            QVERIFY2(std::string(error.what()).find("tokenizer.json") != std::string::npos,
                     error.what());
        }
    }

    void stopsARunawayExpression()
    {
        Json tree = golden("gpt2.json");
        tree["pre_tokenizer"] = {
            {"type", "Split"}, {"pattern", {{"Regex", "(a|aa)+$"}}}, {"behavior", "Isolated"}};
        const Tokenizer tokenizer = load(tree.dump());
        QVERIFY_THROWS_EXCEPTION(Error, tokenizer.encode(std::string(200, 'a') + "b"));
    }

    void knowsItsTokens()
    {
        const Tokenizer tokenizer = load(golden("llama3.json").dump());
        QCOMPARE(tokenizer.vocabSize(), 700);
        QVERIFY(tokenizer.specialIds() == (Ids{0, 1}));
        QCOMPARE(tokenizer.token(0), std::string("<|begin_of_text|>"));
        QCOMPARE(tokenizer.token(-1), std::string());
        QCOMPARE(tokenizer.token(700), std::string());
        QCOMPARE(tokenizer.decode(Ids{700, -5, 1 << 30}, false), std::string());
    }
};

QTEST_GUILESS_MAIN(TestTokenizer)
#include "tst_tokenizer.moc"
