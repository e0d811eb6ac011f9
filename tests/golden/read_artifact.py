#!/usr/bin/env python3
"""Reads a run's artifact as docs/artifact-format.md describes it, with numpy alone, and compares it
with the float32 export. Usage: read_artifact.py ARTIFACT_FOLDER EXPORT_FOLDER
(EXPORT_FOLDER by qw export --to safetensors --dtype f32 --lora separate)"""
import json
import pathlib
import struct
import sys

import numpy

DTYPES = {"F32": "<f4", "F16": "<f2", "U8": "u1", "I32": "<i4"}


def read(file: pathlib.Path):
    """Tensors and metadata of a safetensors file."""
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        raw = data[8 + length + begin : 8 + length + end]
        if entry["dtype"] == "BF16":
            words = numpy.frombuffer(raw, "<u2").astype("<u4") << 16
            tensors[name] = words.view("<f4").reshape(entry["shape"])
        elif entry["dtype"] in DTYPES:
            tensors[name] = numpy.frombuffer(raw, DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def unpack(packed, count: int, bits: int, signed: bool):
    stream = numpy.unpackbits(packed, axis=1, bitorder="little")[:, : count * bits]
    values = stream.reshape(len(packed), count, bits) @ (1 << numpy.arange(bits))
    return values - ((values >> (bits - 1)) << bits) if signed else values


def weight(name: str, form: dict, tensors: dict):
    take = lambda key: tensors[f"{name}.{key}"]
    bits, columns = form["bits"], form["in"]
    if form["kind"] == "mxint":
        codes = unpack(take("codes"), columns, bits, True)
        block = form["group_size"]
        fields = unpack(take("exponents"), -(-columns // block), form["exponent_bits"], False)
        low = -127
        if form["exponent_bits"] == 4:
            low += int(take("exponent_top")[0]) - 15
        step = fields + low - (bits - 1 if form["mx_rule"] == "lqer" else bits - 2)
        return numpy.float32(codes * 2.0 ** step.repeat(block, 1)[:, :columns])
    codes = unpack(take("codes"), columns, bits, form["sym"])
    scale = take("scale").astype("f4")
    group = numpy.arange(columns) * scale.shape[1] // columns  # of each column
    if f"{name}.group_index" in tensors:
        group = take("group_index")
    if not form["sym"]:
        codes = codes - unpack(take("zero"), scale.shape[1], bits, False)[:, group]
    return scale[:, group] * codes.astype("f4")


def main() -> int:
    artifact, export = map(pathlib.Path, sys.argv[1:3])
    expected, _ = read(export / "model.safetensors")
    layers = 0
    for file in sorted(artifact.glob("block-*.safetensors")):
        tensors, metadata = read(file)
        for layer in json.loads(metadata["qw_formats"]):
            ours = weight(layer["name"], layer["format"], tensors)
            if not numpy.array_equal(ours, expected[layer["name"] + ".weight"]):
                print(f"{layer['name']}: differs")
                return 1
            layers += 1
    print(f"{layers} layers equal")
    return 0 if layers else 1


sys.exit(main())
