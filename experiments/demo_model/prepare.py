#!/usr/bin/env python3
"""Cleans the corpus, trains the tokenizer and writes the token files for qw_demo_train.

Needs numpy and tokenizers (PyPI).

    python3 prepare.py --corpus DIR --out DIR [--manifest manifest.json]

DIR holds the plain-text works listed in WORKS. The output folder receives tokenizer.json,
tokenizer_config.json, train.bin and validation.bin (little-endian uint16 ids), segments.txt
(one line a work: name, first training token, training tokens, sampling weight) and clean/*.txt.
The manifest names each work, its source, the SHA-256 of what was read and of what was kept, and
the cleaning, so that the token files can be rebuilt and compared.
"""

import argparse
import hashlib
import json
import pathlib
import random
import re

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tokenizers import AddedToken

BOS = "<|begin_of_text|>"
EOS = "<|end_of_text|>"
VOCABULARY = 4096
SEED = 20260
PIECE_CHARACTERS = 6000
VALIDATION_EVERY = 64  # one piece in 64 of every work is held out
TYPOGRAPHIC_EVERY = 8  # one piece in 8 is written with curly quotes and em dashes

# The Llama-3 split expression.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Weights: how often a window of the work is taken in one pass. Modern-ish prose counts more, verse
# and scripture less, since the model is read and measured on ordinary prose.
WORKS = [
    dict(file="american-adventures.txt", title="American Adventures, Julian Street (1917)",
         source="Project Gutenberg 18304, public domain", weight=1.5,
         start=r"CHAPTER I", drop=r"Page \d+: .*"),
    dict(file="grimm-tales.txt", title="Grimm's Fairy Tales, Hunt version",
         source="Project Gutenberg 52521, public domain", weight=1.5,
         start=r"THE FROG-KING; OR, IRON HENRY",
         drop=r"(Punctuation, hyphenation, and spelling were|Simple typographical errors were).*"),
    dict(file="inaugural-addresses.txt", title="Inaugural addresses of US presidents",
         source="NLTK data, public domain", weight=0.8, split_long=True),
    dict(file="jack-sheppard.txt", title="Jack Sheppard, W. H. Ainsworth (1839)",
         source="Project Gutenberg 16215, public domain", weight=1.0, start=r"EPOCH THE FIRST\.",
         drop=r"FOOTNOTES:|\[Footnote .*"),
    dict(file="katrine.txt", title="Katrine, Elinor Macartney Lane (1909)",
         source="Project Gutenberg 14263, public domain", weight=1.5, start=r"PREFACE"),
    dict(file="king-james-bible.txt", title="King James Bible, first 2 MB, without verse numbers",
         source="Project Gutenberg 10900, public domain", weight=0.3, join_verses=True),
    dict(file="news-from-nowhere.txt", title="News from Nowhere, William Morris (1890)",
         source="Project Gutenberg 3261, public domain", weight=1.5,
         start=r"CHAPTER I: DISCUSSION AND BED", end=r"FOOTNOTES:"),
    dict(file="shakespeare.txt", title="Plays of Shakespeare, 1.1 MB",
         source="tinyshakespeare of karpathy/char-rnn, public domain", weight=0.35),
    dict(file="state-of-the-union.txt", title="State of the Union addresses, 1945 to 2006",
         source="NLTK data, public domain", weight=1.0, split_long=True),
]

CLEANING = [
    "front matter, contents, footnotes and transcriber's notes dropped (see start, end, drop)",
    "paragraphs without a letter dropped; _italics_ and =bold= marks, {note} and [A] marks removed",
    "'(Applause.)' and the like removed; a missing space after a sentence's full stop put back",
    "'after- lecture' joined again to 'after-lecture'",
    "speeches: paragraphs above 900 characters cut at sentence ends into 300 to 900 characters",
    "Bible: verses joined into paragraphs of 400 to 800 characters",
    f"pieces of about {PIECE_CHARACTERS} characters, cut at paragraphs and at chapter headings",
    f"one piece in {TYPOGRAPHIC_EVERY} rewritten with curly quotes and em dashes",
    f"one piece in {VALIDATION_EVERY} of every work held out for validation",
]

HEADING = re.compile(r"(CHAPTER\b.*|[IVXL]+\.?|EPOCH .*|PRESIDENT .*|[A-Z][A-Z ,;'.\-]{8,80})")


def tidy(text):
    """Removes markup and notes inside a paragraph."""
    text = re.sub(r"\((?:Applause|Laughter)[^)]*\)", "", text)
    text = re.sub(r"\{\d+\}|\[(?:[A-Z]|\d+)\]|\[Illustration[^\]]*\]", "", text)
    text = text.replace("_", "").replace("=", "")
    text = re.sub(r"(?<=[a-z]{2})([.!?])(?=[A-Z][a-z])", r"\1 ", text)
    text = re.sub(r"(?<=[a-z])- (?!and |or |to )(?=[a-z])", "-", text)
    return re.sub(r"\s+", " ", text).strip()


def cut_sentences(paragraph, rng):
    """Cuts a long paragraph at sentence ends."""
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z\"'])", paragraph)
    parts, part, limit = [], "", rng.randint(300, 900)
    for sentence in sentences:
        part = f"{part} {sentence}".strip()
        if len(part) >= limit:
            parts.append(part)
            part, limit = "", rng.randint(300, 900)
    return parts + ([part] if part else [])


def join_verses(paragraphs, rng):
    """Joins verses into paragraphs; a book's title stays alone."""
    joined, part, limit = [], "", rng.randint(400, 800)
    for verse in paragraphs:
        title = not re.search(r"[.,;:?!)]$", verse)
        if part and (title or len(part) >= limit):
            joined.append(part)
            part, limit = "", rng.randint(400, 800)
        if title:
            joined.append(verse)
        else:
            part = f"{part} {verse}".strip()
    return joined + ([part] if part else [])


def clean(work, raw, rng):
    """Returns the paragraphs kept of one work."""
    paragraphs = [re.sub(r"\s+", " ", p).strip() for p in raw.split("\n\n")]
    if "start" in work:
        first = max(i for i, p in enumerate(paragraphs) if re.fullmatch(work["start"], p)) \
            if work["file"] == "grimm-tales.txt" else \
            next(i for i, p in enumerate(paragraphs) if re.fullmatch(work["start"], p))
        paragraphs = paragraphs[first:]
    if "end" in work:
        paragraphs = paragraphs[:next(i for i, p in enumerate(paragraphs)
                                      if re.fullmatch(work["end"], p))]
    if "drop" in work:
        paragraphs = [p for p in paragraphs if not re.fullmatch(work["drop"], p)]
    paragraphs = [t for t in (tidy(p) for p in paragraphs) if re.search(r"[A-Za-z]", t)]
    if work.get("join_verses"):
        paragraphs = join_verses(paragraphs, rng)
    if work.get("split_long"):
        paragraphs = [q for p in paragraphs
                      for q in (cut_sentences(p, rng) if len(p) > 900 else [p])]
    return paragraphs


def pieces_of(paragraphs):
    """Groups paragraphs into pieces, a chapter heading always opening one."""
    pieces, piece, size = [], [], 0
    for paragraph in paragraphs:
        opens = HEADING.fullmatch(paragraph) and size > PIECE_CHARACTERS // 4
        if piece and (opens or size >= PIECE_CHARACTERS):
            pieces.append("\n\n".join(piece))
            piece, size = [], 0
        piece.append(paragraph)
        size += len(paragraph)
    return pieces + (["\n\n".join(piece)] if piece else [])


def typographic(text):
    """Curly quotes and em dashes instead of typewriter ones."""
    text = text.replace("--", "\u2014")
    text = re.sub(r"(^|[\s(\u2014\[])\"", "\\1\u201c", text)
    text = text.replace('"', "\u201d")
    text = re.sub(r"(^|[\s(\u2014\[\u201c])'", "\\1\u2018", text)
    return text.replace("'", "\u2019")


def train_tokenizer(texts):
    """Byte-level BPE with Llama-3's split; special tokens last, BOS put in front by default."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - 2, special_tokens=[], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(BOS, special=True, normalized=False),
                                  AddedToken(EOS, special=True, normalized=False)])
    bos = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(add_prefix_space=True, trim_offsets=False, use_regex=True),
        processors.TemplateProcessing(single=f"{BOS} $A", pair=f"{BOS} $A {BOS}:1 $B:1",
                                      special_tokens=[(BOS, bos)]),
    ])
    assert tokenizer.get_vocab_size() == VOCABULARY
    return tokenizer


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--manifest", type=pathlib.Path)
    args = parser.parse_args()
    (args.out / "clean").mkdir(parents=True, exist_ok=True)

    works = []
    for work in WORKS:
        rng = random.Random(f"{SEED}/{work['file']}")
        data = (args.corpus / work["file"]).read_bytes()
        pieces = pieces_of(clean(work, data.decode("utf-8"), rng))
        shift = rng.randrange(VALIDATION_EVERY)
        held = [i % VALIDATION_EVERY == shift % min(VALIDATION_EVERY, len(pieces))
                for i in range(len(pieces))]
        pieces = [typographic(p) if i % TYPOGRAPHIC_EVERY == 3 else p for i, p in enumerate(pieces)]
        kept = "\n\n\n".join(pieces).encode("utf-8")
        (args.out / "clean" / work["file"]).write_bytes(kept)
        works.append(dict(work=work, data=data, kept=kept, pieces=pieces, held=held))

    def tokenizer_texts():
        for w in works:
            keep = min(1.0, w["work"]["weight"])
            for i, (piece, held) in enumerate(zip(w["pieces"], w["held"])):
                if not held and int((i + 1) * keep) > int(i * keep):
                    yield piece

    tokenizer = train_tokenizer(tokenizer_texts())
    tokenizer.save(str(args.out / "tokenizer.json"))
    (args.out / "tokenizer_config.json").write_text(json.dumps({
        "add_bos_token": True, "add_eos_token": False, "bos_token": BOS, "eos_token": EOS,
        "clean_up_tokenization_spaces": False, "model_max_length": 512,
        "tokenizer_class": "PreTrainedTokenizerFast"}, indent=2) + "\n")
    bos, eos = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS)

    train, validation, entries, segments = [], [], [], []
    for w in works:
        begin = len(train)
        held_tokens = 0
        for piece, held in zip(w["pieces"], w["held"]):
            ids = [bos] + tokenizer.encode(piece, add_special_tokens=False).ids + [eos]
            (validation if held else train).extend(ids)
            held_tokens += len(ids) if held else 0
        segments.append(f"{w['work']['file'].removesuffix('.txt')} {begin} {len(train) - begin} "
                        f"{w['work']['weight']}")
        entries.append({
            "work": w["work"]["title"], "file": w["work"]["file"], "source": w["work"]["source"],
            "bytes": len(w["data"]), "sha256": sha256(w["data"]),
            "cleaned_bytes": len(w["kept"]), "cleaned_sha256": sha256(w["kept"]),
            "start": w["work"].get("start"), "end": w["work"].get("end"),
            "drop": w["work"].get("drop"), "sampling_weight": w["work"]["weight"],
            "pieces": len(w["pieces"]), "held_out_pieces": sum(w["held"]),
            "training_tokens": len(train) - begin, "validation_tokens": held_tokens})
    for name, ids in (("train.bin", train), ("validation.bin", validation)):
        np.asarray(ids, dtype="<u2").tofile(args.out / name)
    (args.out / "segments.txt").write_text("\n".join(segments) + "\n")

    import tokenizers
    manifest = {"script": "experiments/demo_model/prepare.py", "seed": SEED,
                "tokenizers": tokenizers.__version__, "cleaning": CLEANING, "works": entries,
                "training_tokens": len(train), "validation_tokens": len(validation),
                "sha256": {n: sha256((args.out / n).read_bytes())
                           for n in ("tokenizer.json", "train.bin", "validation.bin")}}
    (args.manifest or args.out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{len(train)} training tokens, {len(validation)} validation tokens")


if __name__ == "__main__":
    main()
