"""Mean nll of windows of token ids, by the clients that exports are for."""
import importlib.util
import pathlib

import numpy
import torch


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _torch_nll(model, windows) -> float:
    losses = []
    with torch.inference_mode():
        for window in windows:
            ids = torch.tensor([window])
            logits = model(ids, use_cache=False).logits[0, :-1].double()
            losses.append(torch.nn.functional.cross_entropy(logits, ids[0, 1:]).item())
    return sum(losses) / len(losses)


def transformers(folder: pathlib.Path, windows, adapter=None, dequantize=False) -> float:
    from transformers import AutoModelForCausalLM

    options = {}
    if dequantize:
        from transformers import CompressedTensorsConfig

        options["quantization_config"] = CompressedTensorsConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", **options).eval()
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter).eval()
    return _torch_nll(model, windows)


def llama_cpp(file: pathlib.Path, windows, adapter=None) -> float:
    from llama_cpp import Llama

    model = Llama(
        str(file),
        lora_path=None if adapter is None else str(adapter),
        n_ctx=len(windows[0]),
        n_batch=len(windows[0]),
        logits_all=True,
        type_k=0,  # keys and values in float32, not half
        type_v=0,
        n_threads=1,
        verbose=False,
    )
    losses = []
    for window in windows:
        model.reset()
        model.eval(window)
        logits = torch.from_numpy(numpy.array(model.scores[: len(window) - 1])).double()
        losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor(window[1:])).item())
    return sum(losses) / len(losses)


def llama_cpp_tokens(file: pathlib.Path, text: str):
    from llama_cpp import Llama

    model = Llama(str(file), vocab_only=True, verbose=False)
    return model.tokenize(text.encode(), add_bos=True, special=True)


def gguf_weights(file: pathlib.Path) -> dict:
    """All tensors in float32 by the package of ggml's authors, [out, in]."""
    from gguf import GGUFReader
    from gguf.quants import dequantize

    return {
        tensor.name: dequantize(tensor.data, tensor.tensor_type).reshape(
            [int(dim) for dim in reversed(tensor.shape)]
        )
        for tensor in GGUFReader(str(file)).tensors
    }
