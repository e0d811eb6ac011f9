#!/usr/bin/env python3
"""Writes folding/: what AWQ and SmoothQuant must decide for the first block of tiny models.

Formulated as the official codes do it, with the reference library's own decoder layers: weights are
changed in place, modules run again, PyTorch float32. Grids are this program's (they contain zero,
scales in float32). Usage: make_folding.py (needs torch, transformers, safetensors)
"""
import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
SEED = 20250420
RATIOS = 20


def rounded(w, bits, group):
    """Round to nearest, asymmetric, a scale for each group of columns."""
    out, n = w.shape
    v = w.reshape(out, -1, group or n)
    low = v.amin(2, keepdim=True).clamp_max(0)
    high = v.amax(2, keepdim=True).clamp_min(0)
    levels = 2**bits - 1
    scale = ((high - low) / levels).clamp_min(1e-8)
    zero = torch.clamp(torch.round(-low / scale), 0, levels)
    codes = torch.clamp(torch.round(v / scale) + zero, 0, levels)
    return ((codes - zero) * scale).reshape(out, n)


class Case:
    """One block with what its modules got."""

    def __init__(self, name, prefix, groups):
        folder = HERE / "models" / name
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager").eval()
        for p in self.model.parameters():
            p.requires_grad_(False)
        self.prefix, self.groups = prefix, groups
        self.block = self.model.get_submodule(prefix)
        generator = torch.Generator().manual_seed(SEED)
        self.ids = torch.randint(4, self.model.config.vocab_size, (4, 24), generator=generator)
        self.calls, self.inputs = {}, {}
        handles = []
        for module_name, module in self.block.named_modules():
            handles.append(module.register_forward_hook(self.catcher(module_name), with_kwargs=True))
        self.model(self.ids, use_cache=False)
        for handle in handles:
            handle.remove()

    def catcher(self, name):
        def catch(_module, args, kwargs, _output):
            self.calls[name] = (args, kwargs)
            if args:
                self.inputs[name] = args[0].reshape(-1, args[0].shape[-1]).clone()
        return catch

    def linear(self, name):
        return self.block.get_submodule(name)

    def weight(self, name):
        """[out, in]; the library keeps GPT-2's the other way round."""
        w = self.linear(name).weight
        return w.t() if isinstance(self.linear(name), transformers.pytorch_utils.Conv1D) else w

    def output(self, name):
        args, kwargs = self.calls[name]
        result = self.block.get_submodule(name)(*args, **kwargs)
        return result[0] if isinstance(result, tuple) else result


def search(case, group, bits, size):
    """Ratio, scale and all errors of one group of linears."""
    x = case.inputs[group["layers"][0]]
    mean = x.abs().mean(0)
    before = {n: case.weight(n).clone() for n in group["layers"]}
    original = case.output(group["inspect"]).clone()
    errors, scales = [], []
    for i in range(RATIOS):
        s = mean.pow(i / RATIOS).clamp(min=1e-4)
        s = s / (s.max() * s.min()).sqrt()
        for n in group["layers"]:
            case.weight(n).copy_(rounded(before[n] * s, bits, size) / s)
        errors.append((case.output(group["inspect"]) - original).double().pow(2).mean().item())
        scales.append(s)
        for n in group["layers"]:
            case.weight(n).copy_(before[n])
    best = min(range(RATIOS), key=lambda i: errors[i])
    return best / RATIOS, scales[best], errors


def divide(case, group, scale):
    """Undo the scale where the inputs come from."""
    source = case.linear(group["from"])
    part = group.get("rows", slice(None))
    if hasattr(source, "weight") and source.weight.dim() == 2:
        w = case.weight(group["from"])
        w[part] = w[part] / scale[:, None]
    else:
        source.weight[part] = source.weight[part] / scale
    if getattr(source, "bias", None) is not None:
        source.bias[part] = source.bias[part] / scale
    for n in group["layers"]:
        case.weight(n).mul_(scale)
        case.inputs[n].div_(scale)


def clip(w, x, bits, size):
    out, n = w.shape
    size = size or n
    v = w.reshape(out, 1, -1, size)
    x = x.reshape(1, len(x), -1, size)
    x = x[:, ::max(1, x.shape[1] // 512)]
    largest = v.abs().amax(-1, keepdim=True)
    original = (x * v).sum(-1)
    best, least = largest.clone(), torch.full_like(largest, 1e9)
    for i in range(10):
        bound = largest * (1 - i / 20)
        cut = torch.clamp(v, -bound, bound)
        q = rounded(cut.reshape(out, n), bits, size).reshape(v.shape)
        error = ((x * q).sum(-1) - original).pow(2).mean(1).view(least.shape)
        better = error < least
        least[better], best[better] = error[better], bound[better]
    return best.reshape(out, -1)


def changed_tensors(case, before):
    return {f"{case.prefix}.{n}": p.detach().clone().contiguous()
            for n, p in case.block.named_parameters() if not torch.equal(p, before[n])}


def oriented(case, tensors):
    """Weights [out, in] whatever the library's way."""
    turned = {f"{case.prefix}.{n}.weight" for n, m in case.block.named_modules()
              if isinstance(m, transformers.pytorch_utils.Conv1D)}
    return {n: t.t().contiguous() if n in turned else t for n, t in tensors.items()}


def awq_case(name, prefix, groups, no_clip, bits, size):
    case = Case(name, prefix, groups)
    before = {n: p.detach().clone() for n, p in case.block.named_parameters()}
    found = [search(case, group, bits, size) for group in groups]
    for group, (_, scale, _) in zip(groups, found):
        divide(case, group, scale)
    folder = HERE / "folding"
    save_file(oriented(case, changed_tensors(case, before)), folder / f"awq_{name}.safetensors")
    bounds = {f"{prefix}.{n}": clip(case.weight(n), case.inputs[n], bits, size).tolist()
              for n in case.inputs
              if n and hasattr(case.linear(n), "weight") and case.linear(n).weight.dim() == 2
              and n.split(".")[-1] not in no_clip}
    return {"model": name, "bits": bits, "group": size, "ids": case.ids.tolist(),
            "groups": [{"input_group": g["index"], "ratio": f[0], "scale": f[1].tolist(),
                        "errors": f[2]} for g, f in zip(groups, found)],
            "bounds": bounds}


def smooth_case(name, prefix, groups, alpha):
    case = Case(name, prefix, groups)
    before = {n: p.detach().clone() for n, p in case.block.named_parameters()}
    for group in groups:
        if group["index"] in (0, 2):
            largest = case.inputs[group["layers"][0]].abs().max(0)[0]
            widest = torch.cat([case.weight(n).abs().max(0, keepdim=True)[0]
                                for n in group["layers"]]).max(0)[0].clamp(min=1e-5)
            divide(case, group, (largest.pow(alpha) / widest.pow(1 - alpha)).clamp(min=1e-5))
    save_file(oriented(case, changed_tensors(case, before)),
              HERE / "folding" / f"smooth_{name}.safetensors")
    return {"model": name, "alpha": alpha, "ids": case.ids.tolist()}


def llama(name):
    """Grouped-query attention: the inputs of o_proj cannot be scaled."""
    return name, "model.layers.0", [
        {"index": 0, "layers": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
         "inspect": "self_attn", "from": "input_layernorm"},
        {"index": 2, "layers": ["mlp.gate_proj", "mlp.up_proj"], "inspect": "mlp",
         "from": "post_attention_layernorm"},
        {"index": 3, "layers": ["mlp.down_proj"], "inspect": "mlp.down_proj", "from": "mlp.up_proj"},
    ]


OPT = ("opt", "model.decoder.layers.0", [
    {"index": 0, "layers": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
     "inspect": "self_attn", "from": "self_attn_layer_norm"},
    {"index": 1, "layers": ["self_attn.out_proj"], "inspect": "self_attn.out_proj",
     "from": "self_attn.v_proj"},
    {"index": 2, "layers": ["fc1"], "inspect": "fc1", "from": "final_layer_norm"},
    {"index": 3, "layers": ["fc2"], "inspect": "fc2", "from": "fc1"},
])
GPT2 = ("gpt2", "transformer.h.0", [
    {"index": 0, "layers": ["attn.c_attn"], "inspect": "attn", "from": "ln_1"},
    {"index": 1, "layers": ["attn.c_proj"], "inspect": "attn.c_proj", "from": "attn.c_attn",
     "rows": slice(64, 96)},
    {"index": 2, "layers": ["mlp.c_fc"], "inspect": "mlp", "from": "ln_2"},
])
# Rows are (head, 3, 16): two heads' values.
NEOX_VALUES = torch.cat([torch.arange(32, 48), torch.arange(80, 96)])
NEOX = ("neox_parallel", "gpt_neox.layers.0", [
    {"index": 0, "layers": ["attention.query_key_value"], "inspect": "attention",
     "from": "input_layernorm"},
    {"index": 1, "layers": ["attention.dense"], "inspect": "attention.dense",
     "from": "attention.query_key_value", "rows": NEOX_VALUES},
    {"index": 2, "layers": ["mlp.dense_h_to_4h"], "inspect": "mlp",
     "from": "post_attention_layernorm"},
])
UNCUT = {"q_proj", "k_proj", "c_attn", "query_key_value"}


def main():
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    (HERE / "folding").mkdir(exist_ok=True)
    golden = {
        "script": "make_folding.py", "seed": SEED,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "awq": [
            awq_case(*llama("llama"), UNCUT, 3, 8),
            awq_case(*OPT, UNCUT, 3, 16),
            awq_case(*GPT2, UNCUT, 4, 0),
            awq_case(*NEOX, UNCUT, 3, 16),
            awq_case(*llama("qwen3"), UNCUT, 2, 8),
            awq_case(*llama("qwen2_window"), UNCUT, 4, 8),
            awq_case(*llama("mistral_window"), UNCUT, 3, 8),
        ],
        "smooth": [
            smooth_case(*llama("llama"), 0.85),
            smooth_case(*OPT, 0.5),
            smooth_case(*GPT2, 0.5),
            smooth_case(*NEOX, 0.5),
            smooth_case(*llama("mistral_window"), 0.8),
        ],
    }
    text = json.dumps(golden, separators=(",", ":"))
    (HERE / "folding" / "golden.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
