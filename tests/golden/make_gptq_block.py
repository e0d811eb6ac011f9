#!/usr/bin/env python3
"""Writes gptq_block.json: codes of all linears of a block by GPTQ, all at once and true-sequential.

The first block of tiny models by the reference library's own decoder layers, float64. As the
official code does it: each stage runs the block again with what is rounded so far and sees the
inputs of its linears. Usage: make_gptq_block.py (needs torch, transformers)
"""
import json
import pathlib

import numpy as np
import torch
import transformers
from transformers.pytorch_utils import Conv1D

from make_gptq import gptq

HERE = pathlib.Path(__file__).parent
SEED = 20250501
BITS = 3
# The linears of a block in stages: those of one stage read one input.
LLAMA = ("model.layers.0", [["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
                            ["self_attn.o_proj"], ["mlp.gate_proj", "mlp.up_proj"],
                            ["mlp.down_proj"]])
GPT2 = ("transformer.h.0", [["attn.c_attn"], ["attn.c_proj"], ["mlp.c_fc"], ["mlp.c_proj"]])
NEOX = ("gpt_neox.layers.0", [["attention.query_key_value"], ["attention.dense"],
                              ["mlp.dense_h_to_4h"], ["mlp.dense_4h_to_h"]])
OPT = ("model.decoder.layers.0", [["self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj"],
                                  ["self_attn.out_proj"], ["fc1"], ["fc2"]])


def matrix(linear):
    """The weight as [out, in]; the library keeps GPT-2's the other way round."""
    return linear.weight.t() if isinstance(linear, Conv1D) else linear.weight


def quantize(name, prefix, stages, ids):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        HERE / "models" / name, dtype=torch.float64, attn_implementation="eager").eval()
    block = model.get_submodule(prefix)
    codes = {}
    for stage in stages:
        inputs, handles = {}, []
        for layer in stage:
            def catch(_module, args, layer=layer):
                inputs[layer] = args[0].reshape(-1, args[0].shape[-1]).numpy()
            handles.append(block.get_submodule(layer).register_forward_pre_hook(catch))
        model(ids, use_cache=False)
        for handle in handles:
            handle.remove()
        for layer in stage:
            x = inputs[layer]
            weight = matrix(block.get_submodule(layer))
            found = gptq(weight.numpy().astype(np.float32), x.T @ x / len(x), BITS, 0, False, False,
                         1.0)
            code, scale, zero = (np.array(found[key], np.float64)
                                 for key in ("codes", "scale", "zero"))
            weight.copy_(torch.from_numpy((code - zero) * scale))
            codes[f"{prefix}.{layer}"] = ["".join(map(str, row)) for row in found["codes"]]
    return codes


def main():
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    generator = torch.Generator().manual_seed(SEED)
    cases = []
    for name, (prefix, stages) in [("llama", LLAMA), ("gpt2", GPT2), ("neox_parallel", NEOX),
                                   ("opt", OPT)]:
        ids = torch.randint(4, 96, (6, 24), generator=generator)
        for sequential in (False, True):
            some = stages if sequential else [[layer for stage in stages for layer in stage]]
            cases.append({"model": name, "true_sequential": sequential, "ids": ids.tolist(),
                          "codes": quantize(name, prefix, some, ids)})
    golden = {"script": "make_gptq_block.py", "numpy": np.__version__, "torch": torch.__version__,
              "transformers": transformers.__version__, "seed": SEED, "bits": BITS, "cases": cases}
    text = json.dumps(golden, separators=(",", ":"))
    (HERE / "gptq_block.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
