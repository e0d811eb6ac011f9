"""Small models with random weights and tokenizers of the golden set, written by transformers."""
import json
import pathlib
import shutil

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Qwen2Config, Qwen2ForCausalLM

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "tokenizers"


def _write(model, folder: pathlib.Path, tokenizer: str) -> pathlib.Path:
    for parameter in model.parameters():  # larger than the default: logits that differ
        torch.nn.init.normal_(parameter, std=0.08 if parameter.dim() > 1 else 0.3)
    model.to(torch.float32).save_pretrained(folder)
    shutil.copy(GOLDEN / f"{tokenizer}.json", folder / "tokenizer.json")
    content = json.loads((folder / "tokenizer.json").read_text())
    special = content["added_tokens"][0]["content"]
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "eos_token": special,
                "bos_token": special,
            }
        )
    )
    return folder


def qwen2(folder: pathlib.Path) -> pathlib.Path:
    torch.manual_seed(1)
    config = Qwen2Config(
        vocab_size=656,
        hidden_size=256,
        intermediate_size=320,  # no multiple of 256: other types for blocks of 16
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    return _write(Qwen2ForCausalLM(config), folder, "qwen2")


def gpt2(folder: pathlib.Path) -> pathlib.Path:
    torch.manual_seed(2)
    config = GPT2Config(
        vocab_size=656,
        n_embd=256,
        n_layer=2,
        n_head=4,
        n_positions=128,
        bos_token_id=0,
        eos_token_id=0,
    )
    return _write(GPT2LMHeadModel(config), folder, "gpt2")
