#!/usr/bin/env python3
"""Writes gguf_blocks.json: blocks of every type that exports use and what they mean, by ggml's own
Python library (pip install gguf), from random codes. Usage: make_gguf_blocks.py > gguf_blocks.json"""
import json
import sys

import gguf
import numpy
from gguf.quants import dequantize

SEED = 20261125
TYPES = {
    "F16": gguf.GGMLQuantizationType.F16,
    "BF16": gguf.GGMLQuantizationType.BF16,
    "Q4_0": gguf.GGMLQuantizationType.Q4_0,
    "Q5_0": gguf.GGMLQuantizationType.Q5_0,
    "Q8_0": gguf.GGMLQuantizationType.Q8_0,
    "Q6_K": gguf.GGMLQuantizationType.Q6_K,
}
# Where the block's half-float scale lies.
SCALE = {"Q4_0": 0, "Q5_0": 0, "Q8_0": 0, "Q6_K": 208}


def main() -> None:
    random = numpy.random.default_rng(SEED)
    cases = []
    for name, kind in TYPES.items():
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        count = 64 if elements == 1 else 2
        blocks = random.integers(0, 256, size=(count, size), dtype=numpy.uint8)
        if elements == 1:  # all bit patterns are numbers but these
            blocks[:, 1] &= 0xBF
        else:
            scales = numpy.float16(random.uniform(0.001, 0.1, size=count))
            at = SCALE[name]
            blocks[:, at : at + 2] = scales.view(numpy.uint8).reshape(count, 2)
        values = dequantize(blocks.reshape(1, -1), kind).reshape(-1)
        cases.append(
            {
                "type": name,
                "id": int(kind),
                "bytes": blocks.tobytes().hex(),
                "values": [float(v) for v in values],
            }
        )
    json.dump(
        {
            "script": "make_gguf_blocks.py",
            "seed": SEED,
            "numpy": numpy.__version__,
            "cases": cases,
        },
        sys.stdout,
        indent=None,
    )
    print()


main()
