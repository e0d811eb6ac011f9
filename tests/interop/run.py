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
import torch

import clients
import models

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEQLEN = 64
WINDOWS = 2
# Mean nll, nats. Float32 in another order of sums; half precision and bfloat16 of weights and
# products; inputs that both round to 8 bits, over another range; block types, where llama.cpp
# quantizes the inputs of layers to 8 bits; its table of GELU.
SAME = 2e-5
HALF = 5e-3
BFLOAT = 2e-2
INPUTS = 5e-2
BLOCKS = 3e-2
GELU_TABLE = 2e-3

GROUPED = "--format int --bits 4 --sym --group-size 32"
ASYMMETRIC = "--format int --bits 4 --asym --group-size 64"
ROWS = "--format int --bits 4 --sym --group-size channel"
BYTE_ROWS = "--format int --bits 8 --sym --group-size channel"
BYTES = "--format int --bits 8 --sym --group-size 32"
MXINT = "--format mxint --bits 4 --group-size 32"
MXINT16 = "--format mxint --bits 4 --group-size 16"
CORRECTED = GROUPED + " --method lqer --rank 8"
ORDERED = GROUPED + " --method gptq --act-order --calibration demo:calibration --nsamples 4"
MIXED = GROUPED + " --override down_proj:bits=8"
INPUT8 = " --act-format int --act-bits 8"


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
            source = ROOT / "resources/demo_model/evaluation.txt"
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

    def artifact(self, model: str, flags: str) -> pathlib.Path:
        return self.folder / "runs.sqlite.runs" / self.run(model, flags)[0]

    def export(self, model: str, flags: str, options: str) -> pathlib.Path:
        self.exports += 1
        folder = self.folder / f"export{self.exports}"
        self.qw("export", self.run(model, flags)[0], *options.split(), "--out", str(folder), "--json")
        return folder


def require(modules):
    for module in modules:
        if not clients.has(module):
            raise Skip(f"{module} is not installed")


def weights_of(bench: Bench, run: str, folder: pathlib.Path):
    """Of a run, as its dequantized export has them."""
    from safetensors.numpy import load_file

    bench.qw("export", run, "--to", "safetensors", "--dtype", "f32", "--out", str(folder))
    return load_file(folder / "model.safetensors")


def same_weights(theirs, ours, suffix=""):
    for name, weight in theirs.items():
        assert numpy.array_equal(weight, ours[name + suffix]), name


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


def gguf(model, flags, options, tolerance, types, adapter=False):
    """@param types  of the layers, all of which must occur"""

    def case(bench: Bench):
        folder = bench.export(model, flags, "--to gguf " + options)
        there = clients.gguf_types(folder / "model.gguf")
        assert there == set(types.split()), there
        theirs = clients.llama_cpp(
            folder / "model.gguf", bench.windows(model), folder / "adapter.gguf" if adapter else None
        )
        compare(theirs, bench.run(model, flags)[1], tolerance)

    return case


def gguf_weights(model, flags, options, rounded=None):
    """Every tensor of the file, dequantized by the gguf package, is the one of the same export in
    F32, rounded to the type of floats if it is one."""

    def case(bench: Bench):
        there = clients.gguf_weights(bench.export(model, flags, "--to gguf " + options) / "model.gguf")
        exact = clients.gguf_weights(bench.export(model, flags, "--to gguf --dtype f32") / "model.gguf")
        assert set(there) == set(exact)
        if rounded is not None:
            exact = {
                name: torch.from_numpy(weight).to(rounded).float().numpy()
                if weight.ndim > 1 and name != "position_embd.weight"
                else weight
                for name, weight in exact.items()
            }
        same_weights(there, exact)

    return case


def gguf_names(model, names):
    """Tensors of the F32 file are those of the dequantized folder: rows of Q move, what they hold
    does not."""

    def case(bench: Bench):
        from safetensors.numpy import load_file

        theirs = clients.gguf_weights(bench.export(model, GROUPED, "--to gguf --dtype f32") / "model.gguf")
        ours = load_file(
            bench.export(model, GROUPED, "--to safetensors --dtype f32") / "model.safetensors"
        )
        for gguf_name, (name, moved, transposed) in names.items():
            own = ours[name].T if transposed else ours[name]
            same = numpy.array_equal(theirs[gguf_name], own)
            assert same != moved, gguf_name
            assert numpy.array_equal(numpy.sort(theirs[gguf_name], 0), numpy.sort(own, 0)), gguf_name

    return case


def by_card(model, flags, options, tolerance, needs=()):
    """The code that the export's card prints loads it."""

    def case(bench: Bench):
        require(needs)
        folder = bench.export(model, flags, options)
        compare(
            clients.transformers_by_card(folder, bench.windows(model)),
            bench.run(model, flags)[1],
            tolerance,
        )

    return case


def peft_by_card(model, tolerance):
    def case(bench: Bench):
        base = bench.export(model, CORRECTED, "--to safetensors --lora separate --dtype f32")
        folder = bench.export(model, CORRECTED, f"--to peft --base {base}")
        compare(
            clients.transformers_by_card(folder, bench.windows(model)),
            bench.run(model, CORRECTED)[1],
            tolerance,
        )

    return case


def import_packed(bits, symmetric):
    """Layers that the compressed-tensors library packs are imported as it reads them."""

    def case(bench: Bench):
        plain = bench.export("demo", GROUPED, "--to safetensors --dtype f32")
        packed = plain.with_name(plain.name + "-packed")
        meant = clients.compressed_by_library(plain, packed, bits, symmetric, 32)
        made = json.loads(bench.qw("import", str(packed), "--model", "demo", "--json"))
        assert made["bits"] == bits, made["bits"]
        same_weights(meant, weights_of(bench, made["id"], plain.with_name(plain.name + "-back")))

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
        file = bench.export("demo", flags, "--to gguf") / "model.gguf"
        shape = clients.gguf_weights(file)["blk.1.ffn_down.weight"].shape
        values = numpy.random.default_rng(5).normal(size=shape).astype(numpy.float32)
        meant = clients.requantize_gguf(file, "blk.1.ffn_down.weight", values)
        made = json.loads(bench.qw("import", str(file), "--model", "demo", "--json"))
        back = file.parent.with_name(file.parent.name + "-back")
        same_weights(
            {"model.layers.1.mlp.down_proj.weight": meant}, weights_of(bench, made["id"], back)
        )

    return case


def tokens(model):
    def case(bench: Bench):
        folder = bench.export(model, GROUPED, "--to gguf")
        text = bench.text().read_text()
        ours = [int(i) for i in bench.qw("tokenize", bench.model(model), input=text.encode()).split()]
        theirs = clients.llama_cpp_tokens(folder / "model.gguf", text)
        assert theirs == ours, f"{len(theirs)} tokens, ours {len(ours)}"

    return case


def artifact(flags, lines=False):
    """The run's own files, read by the lines of Python in their document, or by the whole reader
    that it names, hold the weights of the dequantized export."""

    def case(bench: Bench):
        from safetensors.numpy import load_file

        plain = bench.export("demo", flags, "--to safetensors --lora separate --dtype f32")
        own = bench.artifact("demo", flags)
        if not lines:
            reader = ROOT / "tests/golden/read_artifact.py"
            subprocess.run([sys.executable, reader, own, plain], check=True, capture_output=True)
            return
        meant = load_file(plain / "model.safetensors")
        document = (ROOT / "docs/artifact-format.md").read_text()
        code = document.split("```python\n")[1].split("```")[0].rstrip()
        layers = {}
        for file in own.glob("block-*.safetensors"):
            sys.argv[1:] = [str(file)]
            exec(code + "\n        layers[layer['name']] = w", {"layers": layers})
        assert len(layers) == 35, len(layers)
        same_weights({name: w.astype("f4") for name, w in layers.items()}, meant, ".weight")

    return case


WORST = {}  # differences from ours and whose they are, of a target's cases with the same tolerance


def compare(theirs: float, ours: float, tolerance: float):
    print(f"    nll {theirs:.6f}, ours {ours:.6f}, difference {theirs - ours:+.2e}")
    WORST["this case"] = (abs(theirs - ours), tolerance)
    assert abs(theirs - ours) <= tolerance, f"differs by {theirs - ours}, allowed {tolerance}"


LLAMA, QWEN2, GPT2 = ("demo", "Llama"), ("qwen2", "Qwen2"), ("gpt2", "GPT-2")
GPTQMODEL = ("gptqmodel",)

CASES = {
    # Plain numbers.
    **{
        f"dequantized {dtype}, {title}": hf(model, flags, f"--to safetensors --dtype {dtype}", tolerance)
        for (model, title), flags in ((LLAMA, ASYMMETRIC), (QWEN2, ASYMMETRIC), (GPT2, GROUPED))
        for dtype, tolerance in (("f32", SAME), ("f16", HALF), ("bf16", BFLOAT))
    },
    **{
        f"dequantized with merged correction, {title}": hf(
            model, CORRECTED, "--to safetensors --dtype f32", SAME
        )
        for model, title in (LLAMA, QWEN2, GPT2)
    },
    **{f"peft, {title}": peft(model, SAME) for model, title in (LLAMA, QWEN2, GPT2)},
    # Codes for transformers.
    **{
        f"compressed-tensors {bits} bits, {title}": hf(
            model, f"--format int --bits {bits} --sym --group-size 32",
            "--to compressed-tensors --dtype f32", SAME,
        )
        for bits in range(2, 9)
        for model, title in (LLAMA, QWEN2)
        if model == "demo" or bits in (4, 8)
    },
    **{
        f"compressed-tensors {bits} bits asymmetric, {title}": hf(
            model, f"--format int --bits {bits} --asym --group-size 64",
            "--to compressed-tensors --dtype f32", SAME, dequantize=True,
        )
        for bits in range(2, 9)
        for model, title in (LLAMA, QWEN2)
        if model == "demo" or bits in (4, 8)
    },
    **{
        f"compressed-tensors {dtype}, Llama": hf(
            "demo", GROUPED, f"--to compressed-tensors --dtype {dtype}", tolerance
        )
        for dtype, tolerance in (("f16", HALF), ("bf16", BFLOAT))
    },
    **{
        f"compressed-tensors {what}, {title}": hf(
            model, flags, "--to compressed-tensors --dtype f32", tolerance
        )
        for what, flags, tolerance in (
            ("by row", ROWS, SAME),
            ("MXINT", MXINT, SAME),
            ("MXINT in blocks of 16", MXINT16, SAME),
            ("mixed", MIXED + " --skip 0.self_attn", SAME),
            ("W8A8", BYTE_ROWS + INPUT8, INPUTS),
            ("W4A8", GROUPED + INPUT8, INPUTS),
        )
        for model, title in (LLAMA, QWEN2)
        if model == "demo" or tolerance == INPUTS or flags == MXINT
    },
    **{
        f"compressed-tensors with adapter, {title}": hf(
            model, CORRECTED, "--to compressed-tensors --dtype f32", SAME,
            adapter="adapter", dequantize=True,
        )
        for model, title in (LLAMA, QWEN2)
    },
    **{
        f"gptq v{version} {bits} bits, {title}": hf(
            model, f"--format int --bits {bits} --sym --group-size 32",
            f"--to gptq --gptq-version {version}", HALF, needs=GPTQMODEL,
        )
        for version in (1, 2)
        for bits in (2, 3, 4, 8)
        for model, title in (LLAMA, QWEN2)
        if (model == "demo" and version == 1) or bits == 4
    },
    **{
        f"gptq {what}, {title}": hf(model, flags, "--to gptq " + options, HALF, needs=GPTQMODEL)
        for what, flags, options in (
            ("v2 asymmetric", ASYMMETRIC, "--gptq-version 2"),
            ("by row", ROWS, ""),
            ("out of order", ORDERED, ""),
        )
        for model, title in (LLAMA, QWEN2)
    },
    "gptq with adapter, Llama": hf(
        "demo", CORRECTED, "--to gptq", HALF, adapter="adapter", needs=GPTQMODEL
    ),
    **{
        f"awq {what}, {title}": hf(model, flags, "--to awq", HALF, needs=GPTQMODEL)
        for what, flags in (("symmetric", GROUPED), ("asymmetric", ASYMMETRIC))
        for model, title in (LLAMA, QWEN2)
    },
    "awq by row, Llama": hf("demo", ROWS, "--to awq", HALF, needs=GPTQMODEL),
    "awq with adapter, Llama": hf(
        "demo", CORRECTED, "--to awq", HALF, adapter="adapter", needs=GPTQMODEL
    ),
    # Our own files.
    **{
        f"artifact {what} by the lines of its document, Llama": artifact(flags, lines=True)
        for what, flags in (
            ("symmetric", GROUPED),
            ("asymmetric", ASYMMETRIC),
            ("by row", BYTE_ROWS),
            ("of 3 bits", "--format int --bits 3 --asym --group-size 64"),
        )
    },
    **{
        f"artifact {what} by its reader, Llama": artifact(flags)
        for what, flags in (
            ("symmetric", GROUPED),
            ("MXINT", MXINT),
            ("with correction", CORRECTED),
            ("out of order", ORDERED),
        )
    },
    # As the cards say.
    "card of safetensors, Llama": by_card("demo", CORRECTED, "--to safetensors --dtype f32", SAME),
    "card of safetensors, GPT-2": by_card("gpt2", CORRECTED, "--to safetensors --dtype f32", SAME),
    "card of safetensors with adapter, Qwen2": by_card(
        "qwen2", CORRECTED, "--to safetensors --lora separate --dtype f32", SAME
    ),
    **{f"card of peft, {title}": peft_by_card(model, SAME) for model, title in (LLAMA, QWEN2, GPT2)},
    **{
        f"card of compressed-tensors {what}, Llama": by_card(
            "demo", flags, "--to compressed-tensors --dtype f32", tolerance
        )
        for what, flags, tolerance in (
            ("symmetric", GROUPED, SAME),
            ("asymmetric", ASYMMETRIC, SAME),
            ("with adapter", CORRECTED, SAME),
            ("asymmetric with adapter", ASYMMETRIC + " --method lqer --rank 8", SAME),
            ("mixed with adapter", MIXED + " --method lqer --rank 8", SAME),
            ("W8A8", BYTES + INPUT8, INPUTS),
            ("W8A8 with adapter", BYTES + INPUT8 + " --method lqer --rank 8", INPUTS),
        )
    },
    **{
        f"card of {target} {what}, Llama": by_card(
            "demo", flags, f"--to {target}", HALF, needs=GPTQMODEL
        )
        for target, what, flags in (
            ("gptq", "in groups", GROUPED),
            ("gptq", "by row", ROWS),
            ("gptq", "8 bits", BYTES),
            ("gptq", "with adapter", CORRECTED),
            ("awq", "in groups", ASYMMETRIC),
            ("awq", "by row", ROWS),
            ("awq", "with adapter", CORRECTED),
        )
    },
    # Imports of what clients write.
    "import of compressed-tensors saved by transformers, Llama": import_again(
        "demo", GROUPED, "--to compressed-tensors --dtype f32", SAME
    ),
    "import of gptq v1 saved by transformers, Llama": import_again(
        "demo", GROUPED, "--to gptq --dtype f32", SAME, needs=GPTQMODEL
    ),
    "import of awq saved by transformers, Llama": import_again(
        "demo", ASYMMETRIC, "--to awq --dtype f32", SAME, needs=GPTQMODEL
    ),
    **{
        f"import of compressed-tensors {bits} bits by its library, Llama": import_packed(bits, bits % 2 == 1)
        for bits in range(2, 9)
    },
    "import of gguf Q4_0 by gguf, Llama": import_gguf(GROUPED),
    "import of gguf Q8_0 by gguf, Llama": import_gguf(BYTES),
    "import of gguf Q5_0 by gguf, Llama": import_gguf(ASYMMETRIC),
    # GGUF by its package and by llama.cpp.
    **{
        f"gguf weights {what}, {title}": gguf_weights(model, flags, options, rounded)
        for what, flags, options, rounded in (
            ("Q4_0", GROUPED, "", None),
            ("Q5_0", ASYMMETRIC, "", None),
            ("Q8_0", BYTES, "", None),
            ("Q6_K", MXINT16, "", None),
            ("F16", GROUPED, "--dtype f16", torch.float16),
            ("BF16", GROUPED, "--dtype bf16", torch.bfloat16),
        )
        for model, title in (LLAMA, QWEN2, GPT2)
        if model == "demo" or what in ("Q4_0", "Q6_K")
    },
    "gguf names, Llama": gguf_names(
        "demo",
        {
            "blk.0.attn_q.weight": ("model.layers.0.self_attn.q_proj.weight", True, False),
            "blk.0.attn_k.weight": ("model.layers.0.self_attn.k_proj.weight", True, False),
            "blk.0.attn_v.weight": ("model.layers.0.self_attn.v_proj.weight", False, False),
            "blk.0.ffn_down.weight": ("model.layers.0.mlp.down_proj.weight", False, False),
        },
    ),
    "gguf names, Qwen2": gguf_names(
        "qwen2",
        {
            "blk.0.attn_q.weight": ("model.layers.0.self_attn.q_proj.weight", False, False),
            "blk.0.ffn_down.weight": ("model.layers.0.mlp.down_proj.weight", False, False),
        },
    ),
    "gguf names, GPT-2": gguf_names(
        "gpt2",
        {
            "blk.0.attn_qkv.weight": ("transformer.h.0.attn.c_attn.weight", False, True),
            "blk.0.ffn_down.weight": ("transformer.h.0.mlp.c_proj.weight", False, True),
        },
    ),
    **{
        f"gguf {what}, {title}": gguf(
            model, flags, options, max(tolerance, GELU_TABLE if model == "gpt2" else 0), types, adapter
        )
        for model, title in (LLAMA, QWEN2, GPT2)
        for what, flags, options, tolerance, types, adapter in (
            ("F32", GROUPED, "--dtype f32", SAME, "F32", False),
            ("F16", GROUPED, "--dtype f16", HALF, "F16", False),
            ("BF16", GROUPED, "--dtype bf16", BFLOAT, "BF16", False),
            ("Q4_0", GROUPED, "", BLOCKS, "Q4_0", False),
            ("Q5_0", ASYMMETRIC, "", BLOCKS, "Q5_0", False),
            ("Q8_0", BYTES, "", BLOCKS, "Q8_0", False),
            ("Q6_K", MXINT16, "", BLOCKS, "Q6_K Q8_0" if model == "qwen2" else "Q6_K", False),
            ("F32 with adapter", CORRECTED, "--dtype f32 --lora separate", SAME, "F32", True),
            ("F32 merged", CORRECTED, "--dtype f32 --lora merge", SAME, "F32", False),
            ("Q4_0 with adapter", CORRECTED, "", BLOCKS, "Q4_0", True),
        )
    },
    **{
        f"gguf merged, {title}": gguf(model, CORRECTED, "--lora merge", tolerance, types)
        for (model, title), tolerance, types in (
            (LLAMA, BFLOAT, "BF16"),
            (QWEN2, SAME, "F32"),
            (GPT2, GELU_TABLE, "F32"),
        )
    },
    **{f"gguf tokens, {title}": tokens(model) for model, title in (LLAMA, QWEN2, GPT2)},
}


def note_worst(name: str):
    """For the first word of the case's name and what it allows."""
    if "this case" not in WORST:
        return
    difference, tolerance = WORST.pop("this case")
    target = f"{name.replace(',', '').split()[0]} within {tolerance:g}"
    if target not in WORST or difference > WORST[target][0]:
        WORST[target] = (difference, name)


def main() -> int:
    qw, words = sys.argv[1], sys.argv[2:]
    start = time.monotonic()
    print(clients.versions(), flush=True)
    bench = Bench(qw, pathlib.Path(tempfile.mkdtemp(prefix="qw-interop-")))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        for name, case in CASES.items():
            if not all(word in name for word in words):
                continue
            WORST.pop("this case", None)
            try:
                case(bench)
                result = "passed"
            except Skip as reason:
                result = "skipped"
                print(f"    {reason}")
            except Exception:  # each case is judged by itself
                result = "failed"
                print(traceback.format_exc(limit=-3))
            for folder in bench.folder.glob("export*"):
                shutil.rmtree(folder)
            counts[result] += 1
            note_worst(name)
            print(f"{result}: {name}", flush=True)
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)
    for target, (difference, name) in WORST.items():
        print(f"largest difference, {target}: {difference:.1e} ({name})")
    print(f"{time.monotonic() - start:.0f} s")
    print(", ".join(f"{count} {result}" for result, count in counts.items()))
    return 0 if counts["failed"] == 0 and counts["passed"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
