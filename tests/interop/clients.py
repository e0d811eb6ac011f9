"""Mean nll of windows of token ids, by the clients that exports are for."""
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import urllib.request

import numpy

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # GPTQModel's layers as they are, not compiled first
import torch  # noqa: E402


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def versions() -> str:
    """Of the clients that are installed."""
    known = []
    for package in (
        "torch", "transformers", "compressed-tensors", "peft", "gguf", "gptqmodel", "xllamacpp",
    ):
        try:
            known.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            pass
    return ", ".join(known)


def _torch_nll(model, windows) -> float:
    losses = []
    with torch.inference_mode():
        for window in windows:
            ids = torch.tensor([window])
            logits = model(ids, use_cache=False).logits[0, :-1].double()
            losses.append(torch.nn.functional.cross_entropy(logits, ids[0, 1:]).item())
    return sum(losses) / len(losses)


def _loading(folder: pathlib.Path) -> dict:
    """Options of from_pretrained. GPTQModel would first compile a kernel for the processor: its
    layers in PyTorch give the same numbers."""
    quantization = json.loads((folder / "config.json").read_text()).get("quantization_config", {})
    if quantization.get("quant_method") == "gptq":
        from transformers import GPTQConfig

        return {"quantization_config": GPTQConfig(bits=quantization["bits"], backend="torch")}
    if quantization.get("quant_method") == "awq":
        from transformers import AwqConfig

        return {"quantization_config": AwqConfig(bits=quantization["bits"], backend="torch_awq")}
    return {}


def transformers(folder: pathlib.Path, windows, adapter=None, dequantize=False) -> float:
    from transformers import AutoModelForCausalLM

    options = _loading(folder)
    if dequantize:
        from transformers import CompressedTensorsConfig

        options["quantization_config"] = CompressedTensorsConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", **options).eval()
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter).eval()
    return _torch_nll(model, windows)


def transformers_by_card(folder: pathlib.Path, windows) -> float:
    """As the export's card says, run as it is printed, in the folder."""
    card = (folder / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]
    names, here = {}, os.getcwd()
    os.chdir(folder)
    try:
        exec(compile(code, str(folder / "README.md"), "exec"), names)
    finally:
        os.chdir(here)
    return _torch_nll(names["model"].eval(), windows)


def saved_again(folder: pathlib.Path, to: pathlib.Path):
    """The checkpoint as transformers and its quantizer's library write it themselves."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", **_loading(folder))
    model.save_pretrained(to)


def compressed_by_library(
    folder: pathlib.Path, to: pathlib.Path, bits: int, symmetric: bool, group: int
) -> dict:
    """A plain checkpoint's linear layers packed by the compressed-tensors library itself. Returns
    what it takes their weights for."""
    from compressed_tensors.compressors.pack_quantized import PackedQuantizationCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.utils import calculate_qparams
    from safetensors.torch import load_file, save_file

    args = QuantizationArgs(
        num_bits=bits, symmetric=symmetric, strategy="group", group_size=group
    )
    scheme = QuantizationScheme(targets=["Linear"], weights=args, format="pack-quantized")
    tensors, meant = load_file(folder / "model.safetensors"), {}
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        weight, module = tensors.pop(name), name.removesuffix(".weight")
        groups = weight.view(weight.shape[0], -1, group)
        scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
        layer = {"weight": weight, "weight_scale": scale, "weight_zero_point": zero}
        packed = PackedQuantizationCompressor.compress(layer, scheme)
        tensors |= {f"{module}.{key}": value.contiguous() for key, value in packed.items()}
        meant[name] = PackedQuantizationCompressor.decompress(packed, scheme)["weight"].numpy()
    to.mkdir()
    save_file(tensors, to / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": scheme.model_dump(mode="json")},
        "ignore": ["lm_head"],
    }
    (to / "config.json").write_text(json.dumps(config))
    return meant


class LlamaCpp:
    """llama.cpp's own server inside this process, through its Python binding."""

    def __init__(self, file: pathlib.Path, tokens: int, adapter=None):
        import xllamacpp

        options = xllamacpp.CommonParams()
        options.model.path = str(file)
        options.n_ctx = tokens
        options.n_parallel = 1
        options.n_gpu_layers = 0
        options.cpuparams.n_threads = 1
        options.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F32  # keys and values, not half
        options.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        options.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        options.fit_params = False
        options.warmup = False
        options.verbosity = 0
        if adapter is not None:
            options.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        self._server = xllamacpp.Server(options)
        self._letter = self.tokens("a")[-1]

    def log_probability(self, before, token: int) -> float:
        """Of a token after others: the server gives those of all tokens as what comes next, from
        the logits as they are. It goes on with a letter: after an end or half a character it would
        give none."""
        answer = self._server.handle_completions(
            {
                "prompt": before,
                "n_predict": 1,
                "n_probs": 1 << 20,
                "logit_bias": [[self._letter, 1e6]],
            }
        )
        following = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return next(one["logprob"] for one in following if one["id"] == token)

    def tokens(self, text: str):
        request = urllib.request.Request(
            self._server.listening_address + "/tokenize",
            json.dumps({"content": text, "add_special": True}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]


def llama_cpp(file: pathlib.Path, windows, adapter=None) -> float:
    model = LlamaCpp(file, 2 * len(windows[0]), adapter)
    return -numpy.mean(
        [
            model.log_probability(window[:position], window[position])
            for window in windows
            for position in range(1, len(window))
        ]
    )


def llama_cpp_tokens(file: pathlib.Path, text: str):
    return LlamaCpp(file, 64).tokens(text)


def requantize_gguf(file: pathlib.Path, tensor: str, values: numpy.ndarray) -> numpy.ndarray:
    """Puts values as blocks of the tensor's own type into a file, quantized by the package of
    ggml's authors. Returns what they decode to."""
    from gguf import GGUFReader
    from gguf.quants import dequantize, quantize

    found = next(one for one in GGUFReader(str(file)).tensors if one.name == tensor)
    blocks = quantize(values, found.tensor_type)
    assert blocks.nbytes == found.n_bytes
    offset, kind = int(found.data_offset), found.tensor_type
    with open(file, "r+b") as out:
        out.seek(offset)
        out.write(blocks.tobytes())
    return dequantize(blocks, kind)


def gguf_types(file: pathlib.Path) -> set:
    """Of the tensors of two dimensions in blocks."""
    from gguf import GGUFReader

    return {
        tensor.tensor_type.name
        for tensor in GGUFReader(str(file)).tensors
        if tensor.name.startswith("blk.") and len(tensor.shape) == 2
    }


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
