# Writes tests/golden/tokenizers/: six small tokenizers and what the reference library makes of some
# 250 strings. Needs the package `tokenizers` (written with the version recorded in the output).
# Every string holds only characters that Unicode 14 has, and the random ones only those of 3.2.
import json
import os
import random
import unicodedata

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import Regex, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "tokenizers")
SEED = 7
LINES = open(os.path.join(HERE, "tokenizer_training_text.txt"), encoding="utf-8").read().split("\n")
LINES = [line + "\n" for line in LINES if line]
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
NBYTES = ["<0x%02X>" % b for b in range(256)]


def split_bytes(digits):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT % digits), "isolated", False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_trainer(size, special):
    return trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False,
                               initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))


def train(tokenizer, trainer):
    tokenizer.train_from_iterator(LINES, trainer)
    return tokenizer


def edit(tokenizer, change):
    tree = json.loads(tokenizer.to_str())
    change(tree)
    return Tokenizer.from_str(json.dumps(tree, ensure_ascii=False)), tree


def gpt2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    return edit(train(t, byte_trainer(640, ["<|endoftext|>"])), lambda tree: None)


def llama3():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = split_bytes("{1,3}")
    t.decoder = decoders.ByteLevel()
    train(t, byte_trainer(700, ["<|begin_of_text|>", "<|end_of_text|>"]))
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[
            ("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))])])

    def change(tree):  # whole words that no merge reaches: only ignore_merges finds them
        tree["model"]["ignore_merges"] = True
        tree["model"]["merges"] = tree["model"]["merges"][:-60]
    return edit(t, change)


def qwen2():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = split_bytes("")
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    train(t, byte_trainer(640, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]))

    def change(tree):  # the older way to write merges
        tree["model"]["merges"] = [m if isinstance(m, str) else " ".join(m)
                                   for m in tree["model"]["merges"]]
    return edit(t, change)


def spm(byte_fallback):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=byte_fallback))
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    train(t, trainers.BpeTrainer(vocab_size=800 if byte_fallback else 500, limit_alphabet=90,
                                 show_progress=False,
                                 special_tokens=special + (NBYTES if byte_fallback else [])))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


def keep_three(tree):
    tree["added_tokens"] = tree["added_tokens"][:3]


def llama2():
    t = spm(True)
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                   decoders.Fuse(), decoders.Strip(" ", 1, 0)])

    def change(tree):
        keep_three(tree)
        tree["pre_tokenizer"] = None
    return edit(t, change)


def neox():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    train(t, byte_trainer(600, ["<|endoftext|>", "<|padding|>"]))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True), AddedToken("[SEP]", rstrip=True)])
    t.add_tokens([AddedToken("lamp", single_word=True), AddedToken("  "), AddedToken("    "),
                  AddedToken("Caf\u00e9", normalized=True),
                  AddedToken("e\u0301tude", normalized=False),
                  AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
                  AddedToken("<both>er", normalized=False), AddedToken("海", single_word=True)])
    return edit(t, lambda tree: None)


def metaspace():
    t = spm(False)
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    t.decoder = decoders.Metaspace(prepend_scheme="first")
    t.add_tokens([AddedToken("FOO", normalized=True)])
    return edit(t, lambda tree: None)


HAND = ["", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\r\n\r\n", "\t", " \n ", "\n \n", " \t\n\r ",
        "a", " a", "a ", " a ", "  a", "a  ", "a  b", "a   b", "a    b", "a     b", "a\n", "\na",
        "a\nb", "a\n\nb", "a \n b", "a\r\nb", "a\tb", "Hello", " Hello", "Hello world",
        "Hello  world", "Hello, world!", "hello\u00a0world", "hello\u2003world", "hello\u3000world",
        "hello\u200bworld", "\ufeffhello", "hello\ufeff", "hel\u00adlo", "a\u0085b", "a\u2028b",
        "a\u180eb", "a\x0bb", "a\x0cb", "a\x1fb", "\x00", "a\x00b", "\x7f", "\ufffd", "\uffff",
        "\ue000", "\U000f0000", "don't", "DON'T", "I'll we've they're he'd it's I'm", "I'LL WE'VE",
        "'s", "'S", "''s", "'ſ", "x's's", "’s", "'", "''", "1", "12", "123", "1234", "1234567890",
        "3.14", "1,000,000", "½", "²³", "१२३", "٤٥٦", "Ⅷ", "①②", "𝟘𝟙", "a1b2c3", "1a", "00x00",
        "café", "cafe\u0301", "Café", "Cafe\u0301", "étude", "e\u0301tude", "\u0301", "a\u0301\u0323",
        "a\u0323\u0301", "Å", "A\u030a", "\u212b", "ﬁ", "\u1e9b\u0323", "q\u0307\u0323", "각",
        "\u1100\u1161\u11a8", "한국어", "\u0344", "\u0958", "가\u11a8",
        "海", "海の近く", "東京", "日本語テスト", "中文测试。", "他说：“好”。", "カタカナ", "ｶﾀｶﾅ", "ａｂｃ１２３",
        "Straße", "STRASSE", "ﬀ", "İstanbul", "ıi", "Ǆ", "Привет, мир!", "Καλημέρα", "שלום", "مرحبا",
        "हिन्दी", "ไทย", "ქართული", "አማርኛ", "😀", "😀😀", " 😀 ", "👩‍👩‍👧", "👍🏽", "🇩🇪", "🏴‍☠️", "☺️", "❤", "a😀b",
        "𝕳𝖊𝖑𝖑𝖔", "\U00020000", "∀x∈ℝ", "x² ≤ y", "→←", "…", "—–-", "“quoted”", "«»", "¿qué?", "!!!",
        "?!?!", "...", "....", "--", "----------------", "==", "===", "!=", "->", "=>", "::", "();",
        "{}", "[]", "<>", "</a>", "/* c */", "// c", "# c", "\\n", "\\", "\"", "`", "@user", "#tag",
        "a_b_c", "snake_case_name", "camelCaseName", "SCREAMING", "user@example.org",
        "https://example.org/a?b=c&d=e#f", "C:\\dir\\file.txt", "/usr/bin/env", "x=1;y=2", "a+b",
        "for (int i = 0; i < n; ++i) {\n    sum += a[i];\n}\n", "def f(x):\n\treturn x\n",
        "if x:\n        y = 1\n", "<p>text</p>", "{\"a\": [1, 2, null]}", "SELECT * FROM t;",
        "the the the", "The lamp on the pier", "thelampthe", "lamp", "lamps", "a lamp.", "_lamp",
        "lamp lamp", "lamp海", "é lamp", "lamp\u0301", "lamp\u200d", "lamp9", "lamp-lamp", "xlamp lamp",
        "▁", "▁▁", "a▁b", " ▁ ", "▁a", "Ġ", "Ġa", "Ċ", "ā", "<unk>", "<s>", "</s>", "<s>a</s>",
        "a<s>b", "a <s> b", "<s> <s>", "<s><s>", " <s>", "<s> ", "<0x41>", "<0xE6>", "<|endoftext|>",
        "a<|endoftext|>b", "a <|endoftext|> b", "<|endoftext|><|endoftext|>", "<|endoftext|",
        "<|begin_of_text|>Hi<|end_of_text|>", "<|im_start|>user\nHi<|im_end|>\n", "<|padding|>",
        "<mask>", "a <mask> b", "a  \n<mask>  b", "  <mask>", "<mask><mask>", "<mask> <mask>",
        "[SEP]", "a [SEP] b", "a[SEP]  \n b", "[SEP]  [SEP]", "[SEP] <mask>", "[SEP]   <mask> x",
        "<both>", " <both> ", "a <both> <both> b", "<both>er", "<both>e", "\u3000<both>\u00a0x",
        "FOO", "a FOO b", "FOO FOO", "xFOOx", " FOO", "foo", "<FOO>", "<s>FOO", "<s> FOO", "ǅ'll",
        "a" * 100, "ab" * 60, " " * 40, "\n" * 20, "the " * 30, "1" * 50, "海" * 30, "😀" * 12,
        "Pneumonoultramicroscopicsilicovolcanoconiosis", "it 's", "it ' s", "x 're", " 'tis",
        "  'll", "a'll", "\n's", "tab\t\ttab", "end  ", "end \n", "end\n ", "  \n  a", " \n\n  a"]

ALPHABETS = ["abcdefgh", "  \t\n\r", "0123456789", "'.,;:!?-()[]{}<>/\\|@#$%^&*_+=~`\"", "ABC'",
             "\u00a0\u2003\u3000\u200b\u200d\u0085\u2028"] + [
    "".join(chr(c) for c in range(a, b) if unicodedata.ucd_3_2_0.category(chr(c)) != "Cn")
    for a, b in [(0x20, 0x7f), (0xa0, 0x180), (0x300, 0x315), (0x370, 0x400), (0x400, 0x460),
                 (0x5d0, 0x5eb), (0x621, 0x64b), (0x905, 0x94e), (0xe01, 0xe3b), (0x2010, 0x2050),
                 (0x2150, 0x2190), (0x2200, 0x2260), (0x3041, 0x3097), (0x30a1, 0x30fb),
                 (0x4e00, 0x4e80), (0xac00, 0xac40), (0xff01, 0xff5f), (0x1d7ce, 0x1d800)]]
WORDS = "".join(LINES).split(" ")


def strings():
    generator = random.Random(SEED)
    made = list(dict.fromkeys(HAND))
    for i in range(60):
        parts = []
        for _ in range(generator.randint(2, 7)):
            if generator.random() < 0.3:
                parts.append(" " + generator.choice(WORDS))
            else:
                alphabet = generator.choice(ALPHABETS)
                parts.append("".join(generator.choice(alphabet)
                                     for _ in range(generator.randint(1, 4))))
        made.append("".join(parts))
    return made


# What other tokenizers of the family say, as JSON merge patches (RFC 7396).
META = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}
PATCHES = {
    "metaspace": [{"pre_tokenizer": dict(META, prepend_scheme=scheme, split=split),
                   "decoder": {"prepend_scheme": scheme}, "model": {"fuse_unk": split}}
                  for scheme in ["always", "never", "first"] for split in [True, False]],
    "gpt2": [{"pre_tokenizer": {"add_prefix_space": True}}] + [
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": r"\p{N}|\s+"}, "behavior": behavior,
             "invert": invert},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
             "use_regex": False}]}}
        for behavior in ["Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
        for invert in [False, True]],
}


def cases(tokenizer, texts):
    rows = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        rows.append([ids, None if plain == ids else plain,
                     tokenizer.decode(ids, skip_special_tokens=False),
                     tokenizer.decode(ids, skip_special_tokens=True)])
    return rows


def write(name, value):
    with open(os.path.join(OUT, name), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


def main():
    os.makedirs(OUT, exist_ok=True)
    texts = strings()
    write("texts.json", texts)
    for family in [gpt2, llama3, qwen2, llama2, neox, metaspace]:
        name = family.__name__
        tokenizer, tree = family()
        write(name + ".json", tree)
        variants = []
        for patch in [{}] + PATCHES.get(name, []):
            patched = merge(json.loads(json.dumps(tree)), patch)
            other = Tokenizer.from_str(json.dumps(patched, ensure_ascii=False))
            some = texts if not patch else texts[::4]
            variants.append({"patch": patch, "step": 1 if not patch else 4,
                             "rows": cases(other, some)})
        write(name + ".cases.json", {"script": "make_tokenizers.py", "seed": SEED,
                                     "tokenizers": tokenizers.__version__, "variants": variants})


def merge(tree, patch):
    for key, value in patch.items():
        tree[key] = merge(tree.get(key) or {}, value) if isinstance(value, dict) else value
    return tree


if __name__ == "__main__":
    main()
