#!/usr/bin/env python3
"""Writes tiny random checkpoints and the logits that transformers computes from them.

Needs: torch, transformers (5.23), safetensors. Usage: make_logits.py [folder, default: models/]
Each folder gets config.json and model.safetensors as transformers saves them, and golden.json with
the token ids, the float32 logits of the eager implementation, script, versions and seed.
"""

import json
import pathlib
import sys

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

SEED = 20260401
VOCAB = 96
BATCH, TOKENS = 2, 21
WEIGHT_STD = 0.2  # large enough that the logits are far from zero

LLAMA = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
             initializer_range=WEIGHT_STD)
OPT = dict(vocab_size=VOCAB, hidden_size=32, ffn_dim=48, num_hidden_layers=2,
           num_attention_heads=4, max_position_embeddings=64, init_std=WEIGHT_STD)
GPT2 = dict(vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=64,
            initializer_range=WEIGHT_STD)
NEOX = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=64, initializer_range=WEIGHT_STD)


def rope(kind, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=10000.0, **more))


# name: (model_type, stored dtype, settings)
MODELS = {
    "llama": ("llama", "float32", LLAMA),
    "llama_tied_bf16": ("llama", "bfloat16", LLAMA | dict(tie_word_embeddings=True)),
    "llama_bias_head_dim": ("llama", "float32", LLAMA | dict(
        attention_bias=True, mlp_bias=True, head_dim=12)),
    "llama_linear": ("llama", "float32", LLAMA | rope("linear", factor=2.5)),
    "llama_llama3": ("llama", "float32", LLAMA | rope(
        "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32)),
    # 21 tokens are more than 16 positions: the base grows.
    "llama_dynamic": ("llama", "float32", LLAMA | dict(max_position_embeddings=16) | rope(
        "dynamic", factor=2.0)),
    "mistral_window": ("mistral", "float32", LLAMA | dict(sliding_window=6)),
    "qwen2_window": ("qwen2", "bfloat16", LLAMA | dict(
        use_sliding_window=True, sliding_window=5, max_window_layers=1)),
    "qwen3": ("qwen3", "float32", LLAMA | dict(head_dim=16, tie_word_embeddings=True)),
    "opt": ("opt", "float32", OPT),
    "opt_post_norm": ("opt", "float32", OPT | dict(
        do_layer_norm_before=False, word_embed_proj_dim=16)),
    "gpt2": ("gpt2", "float32", GPT2),
    "gpt2_inverse_layer": ("gpt2", "float32", GPT2 | dict(scale_attn_by_inverse_layer_idx=True)),
    "neox_parallel": ("gpt_neox", "float32", NEOX | rope("default", partial_rotary_factor=0.25)),
    "neox_sequential": ("gpt_neox", "bfloat16", NEOX | dict(use_parallel_residual=False) | rope(
        "default", partial_rotary_factor=0.5)),
}


def randomize(model, generator):
    """Norms and biases too: their defaults of one and zero would hide a forgotten one."""
    for name, value in model.named_parameters():
        noise = torch.randn(value.shape, generator=generator)
        if value.dim() == 1 and name.endswith("weight"):
            value.data = 1 + 0.2 * noise
        else:
            value.data = WEIGHT_STD * noise


def make(name, folder):
    kind, dtype, settings = MODELS[name]
    config = AutoConfig.for_model(kind, **settings, bos_token_id=0, eos_token_id=1,
                                  pad_token_id=None)
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(SEED)
    randomize(model, generator)
    model.tie_weights()
    model = model.to(getattr(torch, dtype))
    model.config.dtype = dtype
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    # The oracle reads the file back and computes in float32.
    oracle = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()
    # Tokens from 2 on: OPT would take padding ids for masked places.
    ids = torch.randint(2, VOCAB, (BATCH, TOKENS), generator=generator)
    with torch.no_grad():
        logits = oracle(ids, attention_mask=torch.ones_like(ids)).logits
        greedy = oracle.generate(ids[:1, :5], attention_mask=torch.ones(1, 5, dtype=torch.long),
                                 do_sample=False, max_new_tokens=8, min_new_tokens=8,
                                 eos_token_id=None, pad_token_id=0)[0, 5:]
    golden = dict(script="make_logits.py", torch=torch.__version__,
                  transformers=transformers.__version__, seed=SEED, ids=ids.tolist(),
                  shape=list(logits.shape), greedy=greedy.tolist(),
                  logits=[float(f"{v:.7g}") for v in logits.flatten().tolist()])
    (folder / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"{name}: largest logit {logits.abs().max():.3f}")


def main():
    base = pathlib.Path(__file__).parent / "models"
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else base
    for name in MODELS:
        make(name, target / name)


if __name__ == "__main__":
    main()
