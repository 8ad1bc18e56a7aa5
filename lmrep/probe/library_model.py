"""Models of transformers from files: quietly, without code from a hub and without pickles. Errors are one line."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from lmrep.errors import InputError, one_line
from lmrep.probe.finite import check_type, finite
from lmrep.probe.library_block import Misfit
from lmrep.provenance import model_files
from lmrep.study.sources import CONFIG_FILE, CONFIG_SIZES, GGUF, Weights

# Buffers that older versions of transformers saved beside the weights of a block.
NOT_WEIGHTS = re.compile(r"(rotary_emb\.inv_freq|masked_bias|attn\.bias|attention\.bias|position_ids|token_type_ids)$")
REPORT = re.compile(r" For details look at .*report.*")
ADAPTER = "adapter_config.json"  # of the library peft: transformers loads its weights too, but only if peft is there


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the library's messages, warnings and progress bars off the terminal."""
    from transformers.utils import logging as library

    logging: Any = library  # it has functions without types
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # The bar of the GGUF reader goes to stderr whatever the library's settings are.
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def explained(start: str) -> Iterator[None]:
    """Turns any error of the library into one line that begins with `start`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        # The library's report of tensors is one of the messages that `quiet` keeps back.
        reason = REPORT.sub(" A tensor may be missing from its file.", one_line(error))
        raise InputError(
            f"{start} ({reason[:300]})" if not isinstance(error, Misfit) else f"{start}: {reason}"
        ) from None


def read_config(weights: Weights, path: Path) -> Any:
    """The model's own config. Raises InputError if it cannot be read or is not what the study's config says."""
    from transformers import AutoConfig

    key, gguf = f"weights.{weights.name}", path.suffix == GGUF
    if not path.is_file() if gguf else not (path / CONFIG_FILE).is_file():
        raise InputError(f"{key}: expected a folder with {CONFIG_FILE} and safetensors, or a {GGUF} file, at {path}")
    if not gguf and (path / ADAPTER).is_file():
        raise InputError(f"{key}: {path} has an adapter ({ADAPTER}), expected weights that it is merged into")
    with explained(f"{key}: transformers does not read {path if gguf else path / CONFIG_FILE}"):
        folder, file = (path.parent, {"gguf_file": path.name}) if gguf else (path, {})
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **file)
        check_config(weights, config, GGUF if gguf else CONFIG_FILE)
    return config


def check_config(weights: Weights, config: Any, file: str) -> None:
    """Raises InputError if a model's own config is not what the study's says, or of a kind that we do not call."""
    key, kind = f"weights.{weights.name}", config.model_type
    if config.is_encoder_decoder:
        raise InputError(f"{key}: a {kind} is an encoder-decoder, expected one stack of blocks")
    if getattr(config, "quantization_config", None) is not None and file != GGUF:
        raise InputError(f"{key}: a {kind} with quantised weights, expected plain ones or a {GGUF} file")
    for name, theirs in CONFIG_SIZES.items():
        ours, found = getattr(weights, name), getattr(config, theirs, None)
        if found is None and name != "heads":
            raise InputError(f"{key}: a {kind} has no {theirs} of its own, expected a model of text alone")
        if ours != found and (ours or name != "heads"):
            raise InputError(f"{key}.{name}: expected {found}, as its {file} says, not {ours}")


def trained_model(weights: Weights, path: Path, config: Any) -> tuple[Any, dict[str, Any]]:
    """The model with the numbers of its files, and what the library says about the tensors in them.

    Raises InputError for a tensor of other than finite floating-point numbers.
    """
    from transformers import AutoModel, GgufConfig

    with explained(f"weights.{weights.name}: transformers does not load {path}"):
        check_types(weights, path)
        # Without `dequantize`, transformers looks for a kernel on the hub to multiply packed weights with.
        gguf = {"gguf_file": path.name, "quantization_config": GgufConfig(dequantize=True)}
        source: dict[str, Any] = gguf if path.suffix == GGUF else {"use_safetensors": True}
        model, info = AutoModel.from_pretrained(
            path.parent if path.suffix == GGUF else path, config=config, dtype=torch.float32, local_files_only=True,
            trust_remote_code=False, attn_implementation="eager", output_loading_info=True,
            ignore_mismatched_sizes=True, **source,  # `check_tensors` names them
        )  # fmt: skip
    for name, tensor in model.named_parameters():
        if name in info["missing_keys"]:  # `check_tensors` says so, if it is needed
            continue
        finite(f"weights.{weights.name}: {path}: tensor '{name}'", tensor)
    return model.eval().requires_grad_(False), info


def check_types(weights: Weights, path: Path) -> None:
    """Raises InputError if a safetensors file of the model has numbers that the library would convert silently."""
    for part in model_files(path):
        if part.suffix == ".safetensors":
            with safe_open(part, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118
                    if not NOT_WEIGHTS.search(name):
                        check_type(f"weights.{weights.name}: {part}: tensor '{name}'", file.get_slice(name).get_dtype())


def fresh_model(weights: Weights, config: Any, seed: int) -> Any:
    """The model as the library initialises it, from `seed` alone."""
    from transformers import AutoModel

    auto: Any = AutoModel  # from_config has no types
    start = f"weights.{weights.name}: transformers does not make a {config.model_type}"
    with explained(start), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = auto.from_config(config, dtype=torch.float32, attn_implementation="eager")
    return model.eval().requires_grad_(False)


def check_tensors(weights: Weights, info: dict[str, Any], used: set[str], blocks: str) -> None:
    """Raises InputError if a tensor that the blocks or embeddings need is missing, or one of a block is unknown."""
    inside = re.compile(rf"(^|\.){re.escape(blocks)}\.\d+\.")
    for name in sorted(info["missing_keys"]):
        module = name.rpartition(".")[0]
        parent = module.rpartition(".")[0]  # may read a tensor without a call of the module: a convolution, a table
        if inside.search(name) or module in used or (parent and parent in used):
            raise InputError(f"weights.{weights.name}: tensor '{name}' is missing from its file")
    for name in sorted(info["unexpected_keys"]):
        if inside.search(name) and not NOT_WEIGHTS.search(name):
            raise InputError(f"weights.{weights.name}: tensor '{name}' is not expected in its file")
    for name, found, expected in sorted(info["mismatched_keys"]):
        sizes = f"has shape {list(found)}, expected {list(expected)} by its {CONFIG_FILE}"
        raise InputError(f"weights.{weights.name}: tensor '{name}' {sizes}")
    for message in map(str, info["error_msgs"]):
        raise InputError(f"weights.{weights.name}: its tensors do not fit its {CONFIG_FILE} ({message[:200]})")
