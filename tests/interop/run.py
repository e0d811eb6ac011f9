#!/usr/bin/env python3
"""Loads what `qw export` writes with the programs it is written for.

Usage: run.py QW [WORD ...]: the program, and words that a case's name must hold. For each case a
model is quantized and exported, and the client's mean nll on windows of text is held against ours
of the stored run. Closes with "N passed, N failed, N skipped".
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

import numpy

import clients
import models

SEQLEN = 64
WINDOWS = 2
# Mean nll, nats. Float32 in another order of sums; half precision of weights and products; block
# types, where llama.cpp quantizes the inputs of layers to 8 bits; its table of GELU.
SAME = 2e-5
HALF = 5e-3
BLOCKS = 3e-2
GELU_TABLE = 2e-3

GROUPED = "--format int --bits 4 --sym --group-size 32"
ASYMMETRIC = "--format int --bits 4 --asym --group-size 64"
CORRECTED = GROUPED + " --method lqer --rank 8"
ORDERED = GROUPED + " --method gptq --act-order --calibration demo:calibration --nsamples 4"


class Skip(Exception):
    pass


class Bench:
    """A folder with a store, models and texts."""

    def __init__(self, qw: str, folder: pathlib.Path):
        self.qw_program = qw
        self.folder = folder
        self.models = {"demo": "demo"}
        self.runs = {}
        self.exports = 0

    def qw(self, *arguments, input=None):
        done = subprocess.run(
            [self.qw_program, *arguments, "--store", str(self.folder / "runs.sqlite"), "--threads", "1"],
            input=input,
            capture_output=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"qw {' '.join(arguments)}: {done.stderr.decode()[-500:]}")
        return done.stdout

    def model(self, name: str) -> str:
        if name not in self.models:
            self.models[name] = str(getattr(models, name)(self.folder / name))
        return self.models[name]

    def text(self) -> pathlib.Path:
        file = self.folder / "text.txt"
        if not file.exists():
            source = pathlib.Path(__file__).resolve().parents[2] / "resources/demo_model/evaluation.txt"
            file.write_text(source.read_text()[:4000])
        return file

    def windows(self, model: str):
        ids = [int(i) for i in self.qw("tokenize", self.model(model), input=self.text().read_bytes()).split()]
        return [ids[i * SEQLEN : (i + 1) * SEQLEN] for i in range(WINDOWS)]

    def run(self, model: str, flags: str):
        """Id and nll of a run, made once."""
        key = (model, flags)
        if key not in self.runs:
            made = json.loads(self.qw("run", self.model(model), *flags.split(), "--json"))
            score = json.loads(
                self.qw(
                    "eval", "--run", made["id"], "--text", str(self.text()),
                    "--seqlen", str(SEQLEN), "--windows", str(WINDOWS), "--json",
                )
            )
            self.runs[key] = (made["id"], score["nll"])
        return self.runs[key]

    def export(self, model: str, flags: str, options: str) -> pathlib.Path:
        self.exports += 1
        folder = self.folder / f"export{self.exports}"
        self.qw("export", self.run(model, flags)[0], *options.split(), "--out", str(folder), "--json")
        return folder


def require(modules):
    for module in modules:
        if not clients.has(module):
            raise Skip(f"{module} is not installed")


def hf(model, flags, options, tolerance, adapter=None, dequantize=False, needs=()):
    def case(bench: Bench):
        require(needs)
        folder = bench.export(model, flags, options)
        theirs = clients.transformers(
            folder, bench.windows(model), folder / adapter if adapter else None, dequantize
        )
        compare(theirs, bench.run(model, flags)[1], tolerance)

    return case


def peft(model, tolerance):
    def case(bench: Bench):
        base = bench.export(model, CORRECTED, "--to safetensors --lora separate --dtype f32")
        adapter = bench.export(model, CORRECTED, f"--to peft --base {base}")
        theirs = clients.transformers(base, bench.windows(model), adapter)
        compare(theirs, bench.run(model, CORRECTED)[1], tolerance)

    return case


def gguf(model, flags, options, tolerance, adapter=False):
    def case(bench: Bench):
        folder = bench.export(model, flags, "--to gguf " + options)
        theirs = clients.llama_cpp(
            folder / "model.gguf", bench.windows(model), folder / "adapter.gguf" if adapter else None
        )
        compare(theirs, bench.run(model, flags)[1], tolerance)

    return case


def gguf_weights(model, flags, type_name):
    """Every tensor of the file, dequantized by the gguf package, is the dequantized export's."""

    def case(bench: Bench):
        from safetensors.numpy import load_file

        coded = clients.gguf_weights(bench.export(model, flags, "--to gguf") / "model.gguf")
        plain = clients.gguf_weights(bench.export(model, flags, "--to gguf --dtype f32") / "model.gguf")
        hf_weights = load_file(
            bench.export(model, flags, "--to safetensors --dtype f32") / "model.safetensors"
        )
        assert set(coded) == set(plain)
        for name, weight in coded.items():
            assert numpy.array_equal(weight, plain[name]), name
        ours = hf_weights["model.layers.0.mlp.down_proj.weight"]
        assert numpy.array_equal(coded["blk.0.ffn_down.weight"], ours)
        # Rows of Q move; what they hold does not.
        moved = coded["blk.0.attn_q.weight"]
        stayed = hf_weights["model.layers.0.self_attn.q_proj.weight"]
        assert numpy.array_equal(
            numpy.sort(moved, axis=0), numpy.sort(stayed, axis=0)
        ), "rows of attn_q"

    return case


def import_packed(bits, symmetric):
    """Layers that the compressed-tensors library packs are imported as it reads them."""

    def case(bench: Bench):
        from safetensors.numpy import load_file

        plain = bench.export("demo", GROUPED, "--to safetensors --dtype f32")
        packed = plain.with_name(plain.name + "-packed")
        meant = clients.compressed_by_library(plain, packed, bits, symmetric, 32)
        made = json.loads(bench.qw("import", str(packed), "--model", "demo", "--json"))
        assert made["bits"] == bits, made["bits"]
        back = plain.with_name(plain.name + "-back")
        bench.qw("export", made["id"], "--to", "safetensors", "--dtype", "f32", "--out", str(back))
        ours = load_file(back / "model.safetensors")
        for name, weight in meant.items():
            assert numpy.array_equal(ours[name], weight), name

    return case


def import_again(model, flags, options, tolerance, needs=()):
    """The export loaded and saved by its client, then imported: the run measures as before."""

    def case(bench: Bench):
        require(needs)
        folder = bench.export(model, flags, options)
        saved = folder.with_name(folder.name + "-saved")
        clients.saved_again(folder, saved)
        made = json.loads(
            bench.qw(
                "import", str(saved), "--model", bench.model(model), "--text", str(bench.text()),
                "--seqlen", str(SEQLEN), "--windows", str(WINDOWS), "--json",
            )
        )
        compare(made["nll"], bench.run(model, flags)[1], tolerance)

    return case


def import_gguf(flags):
    """A layer quantized by ggml's authors' package, whose scales may be negative, is imported."""

    def case(bench: Bench):
        from safetensors.numpy import load_file

        file = bench.export("demo", flags, "--to gguf") / "model.gguf"
        shape = clients.gguf_weights(file)["blk.1.ffn_down.weight"].shape
        values = numpy.random.default_rng(5).normal(size=shape).astype(numpy.float32)
        meant = clients.requantize_gguf(file, "blk.1.ffn_down.weight", values)
        made = json.loads(bench.qw("import", str(file), "--model", "demo", "--json"))
        back = file.parent.with_name(file.parent.name + "-back")
        bench.qw("export", made["id"], "--to", "safetensors", "--dtype", "f32", "--out", str(back))
        ours = load_file(back / "model.safetensors")["model.layers.1.mlp.down_proj.weight"]
        assert numpy.array_equal(ours, meant), numpy.abs(ours - meant).max()

    return case


def tokens(model):
    def case(bench: Bench):
        folder = bench.export(model, GROUPED, "--to gguf")
        text = bench.text().read_text()
        ours = [int(i) for i in bench.qw("tokenize", bench.model(model), input=text.encode()).split()]
        theirs = clients.llama_cpp_tokens(folder / "model.gguf", text)
        assert theirs == ours, f"{len(theirs)} tokens, ours {len(ours)}"

    return case


def compare(theirs: float, ours: float, tolerance: float):
    print(f"    nll {theirs:.6f}, ours {ours:.6f}, difference {theirs - ours:+.2e}")
    assert abs(theirs - ours) <= tolerance, f"differs by {theirs - ours}, allowed {tolerance}"


CASES = {
    "dequantized, Llama": hf("demo", ASYMMETRIC, "--to safetensors --dtype f32", SAME),
    "dequantized bf16, Llama": hf("demo", ASYMMETRIC, "--to safetensors --dtype bf16", HALF * 4),
    "dequantized, Qwen2": hf("qwen2", ASYMMETRIC, "--to safetensors", SAME),
    "dequantized, GPT-2": hf("gpt2", GROUPED, "--to safetensors", SAME),
    "merged correction, Llama": hf("demo", CORRECTED, "--to safetensors --dtype f32", SAME),
    "peft, Llama": peft("demo", SAME),
    "peft, Qwen2": peft("qwen2", SAME),
    "peft, GPT-2": peft("gpt2", SAME),
    "compressed-tensors 4 bits, Llama": hf("demo", GROUPED, "--to compressed-tensors --dtype f32", SAME),
    "compressed-tensors 4 bits f16, Llama": hf("demo", GROUPED, "--to compressed-tensors", HALF),
    "compressed-tensors 8 bits by row, Qwen2": hf(
        "qwen2", "--format int --bits 8 --sym --group-size channel", "--to compressed-tensors --dtype f32", SAME
    ),
    "compressed-tensors asymmetric, Qwen2": hf(
        "qwen2", ASYMMETRIC, "--to compressed-tensors --dtype f32", SAME, dequantize=True
    ),
    "compressed-tensors MXINT, Qwen2": hf(
        "qwen2", "--format mxint --bits 4 --group-size 32", "--to compressed-tensors --dtype f32", SAME
    ),
    "compressed-tensors mixed, Llama": hf(
        "demo", GROUPED + " --override down_proj:bits=8 --skip 0.self_attn",
        "--to compressed-tensors --dtype f32", SAME,
    ),
    "compressed-tensors W8A8, Qwen2": hf(
        "qwen2", "--format int --bits 8 --sym --group-size channel --act-format int --act-bits 8",
        "--to compressed-tensors --dtype f32", 5e-2,
    ),
    "compressed-tensors with adapter, Llama": hf(
        "demo", CORRECTED, "--to compressed-tensors --dtype f32", SAME, adapter="adapter", dequantize=True
    ),
    "gptq v1, Llama": hf("demo", GROUPED, "--to gptq", HALF, needs=("gptqmodel",)),
    "gptq v2 asymmetric, Qwen2": hf(
        "qwen2", ASYMMETRIC, "--to gptq --gptq-version 2", HALF, needs=("gptqmodel",)
    ),
    "gptq out of order, Llama": hf("demo", ORDERED, "--to gptq", HALF, needs=("gptqmodel",)),
    "awq, Llama": hf("demo", ASYMMETRIC, "--to awq", HALF, needs=("gptqmodel",)),
    "import of compressed-tensors saved by transformers, Llama": import_again(
        "demo", GROUPED, "--to compressed-tensors --dtype f32", SAME
    ),
    "import of gptq v1 saved by transformers, Llama": import_again(
        "demo", GROUPED, "--to gptq --dtype f32", SAME, needs=("gptqmodel",)
    ),
    "import of awq saved by transformers, Llama": import_again(
        "demo", ASYMMETRIC, "--to awq --dtype f32", SAME, needs=("gptqmodel",)
    ),
    **{
        f"import of compressed-tensors {bits} bits by its library, Llama": import_packed(bits, bits % 2 == 1)
        for bits in (2, 3, 4, 5, 6, 7, 8)
    },
    "import of gguf Q4_0 by gguf, Llama": import_gguf(GROUPED),
    "import of gguf Q8_0 by gguf, Llama": import_gguf("--format int --bits 8 --sym --group-size 32"),
    "import of gguf Q5_0 by gguf, Llama": import_gguf(ASYMMETRIC),
    "gguf weights Q4_0, Llama": gguf_weights("demo", GROUPED, "Q4_0"),
    "gguf weights Q5_0, Llama": gguf_weights("demo", ASYMMETRIC, "Q5_0"),
    "gguf weights Q6_K, Llama": gguf_weights("demo", "--format mxint --bits 4 --group-size 16", "Q6_K"),
    "gguf f32, Llama": gguf("demo", ASYMMETRIC, "--dtype f32", SAME),
    "gguf f32, Qwen2": gguf("qwen2", ASYMMETRIC, "--dtype f32", SAME),
    "gguf f32, GPT-2": gguf("gpt2", GROUPED, "--dtype f32", GELU_TABLE),
    "gguf Q4_0, Llama": gguf("demo", GROUPED, "", BLOCKS),
    "gguf Q5_0, Qwen2": gguf("qwen2", ASYMMETRIC, "", BLOCKS),
    "gguf Q6_K, Llama": gguf("demo", "--format mxint --bits 4 --group-size 16", "", BLOCKS),
    "gguf with adapter, Llama": gguf("demo", CORRECTED, "--dtype f32 --lora separate", SAME, adapter=True),
    "gguf with adapter, Qwen2": gguf("qwen2", CORRECTED, "--dtype f32 --lora separate", SAME, adapter=True),
    "gguf with adapter, GPT-2": gguf(
        "gpt2", CORRECTED, "--dtype f32 --lora separate", GELU_TABLE, adapter=True
    ),
    "gguf tokens, Llama": tokens("demo"),
    "gguf tokens, Qwen2": tokens("qwen2"),
    "gguf tokens, GPT-2": tokens("gpt2"),
}


def main() -> int:
    qw, words = sys.argv[1], sys.argv[2:]
    start = time.monotonic()
    print(clients.versions(), flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="qw-interop-"))
    bench = Bench(qw, folder)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        for name, case in CASES.items():
            if not all(word in name for word in words):
                continue
            try:
                case(bench)
                result = "passed"
            except Skip as reason:
                result = "skipped"
                print(f"    {reason}")
            except Exception:  # each case is judged by itself
                result = "failed"
                print(traceback.format_exc(limit=-3))
            counts[result] += 1
            print(f"{result}: {name}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{time.monotonic() - start:.0f} s")
    print(", ".join(f"{count} {result}" for result, count in counts.items()))
    return 0 if counts["failed"] == 0 and counts["passed"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
