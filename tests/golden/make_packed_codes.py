#!/usr/bin/env python3
"""Packs codes of 3, 5, 6 and 7 bits as the compressed-tensors library does: packed_codes.json.

The layout changed with version 0.18 of the library, so this runs once with a version before it and
once with a later one; each fills its own part of the file. Codes are a formula that the test knows.
"""
import importlib.metadata
import json
import pathlib
import sys

import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

ROWS, COLUMNS, GROUPS = 12, 64, 2


def codes(rows: int, columns: int, bits: int) -> torch.Tensor:
    r = torch.arange(rows).view(-1, 1)
    c = torch.arange(columns).view(1, -1)
    return ((7 * r + 5 * c + r * c) % 2**bits - 2 ** (bits - 1)).to(torch.int8)


def main() -> None:
    version = sys.argv[1] if len(sys.argv) > 1 else importlib.metadata.version("compressed-tensors")
    file = pathlib.Path(__file__).with_name("packed_codes.json")
    content = json.loads(file.read_text()) if file.exists() else {}
    layout = "dense" if tuple(map(int, version.split(".")[:2])) >= (0, 18) else "padded"
    content[layout] = {"script": "make_packed_codes.py", "compressed-tensors": version}
    for bits in (3, 5, 6, 7):
        content[layout][str(bits)] = {
            "weight_packed": pack_to_int32(codes(ROWS, COLUMNS, bits), bits).tolist(),
            "weight_zero_point": pack_to_int32(
                codes(ROWS, GROUPS, bits), bits, packed_dim=0
            ).tolist(),
        }
    file.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
