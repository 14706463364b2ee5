"""What metadata say of quantised weights: of a file itself, and in the configuration beside it.

A configuration is not trusted: it is read up to a size, as JSON, from the file's own directory, and
nothing that it names is looked for. What it says must fit the shapes, or it does not count.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fpx.tensors.entry import Source
from fpx.words import cause, quoted, reason

_LARGEST = 4 << 20  # bytes
_MOST_BRACKETS = 1 << 16
_MOST_TEXT = 1 << 16  # characters of what metadata say of one tensor

NAMES_USED = "names are used"
"""How notes end of metadata that do not count."""

_CONFIGS = ("hf_quant_config.json", "config.json")


@dataclass(frozen=True)
class Hint:
    """What metadata say of a weight.

    Attributes:
        method: what the method is called: `modelopt`, `compressed-tensors`, `comfyui`, ...
        where: where that stands, for people.
        block: elements that share a scale, along the last axes.
        element: the format of elements, where it is said.
        swizzled: whether scales lie in tiles of 128 x 4, where it is said.
    """

    method: str
    where: str
    block: tuple[int, ...] | None = None
    element: str | None = None
    swizzled: bool | None = None


@dataclass(frozen=True)
class Hints:
    """What metadata say of the weights of a source: of some by name, of the others together."""

    of: Mapping[str, Hint] = field(default_factory=dict)
    others: Hint | None = None
    notes: tuple[str, ...] = ()

    def get(self, name: str) -> Hint | None:
        """What is said of the weight of that name."""
        return self.of.get(name, self.others)


def hints_of(source: Source) -> Hints:
    """What the metadata of a source, and the configuration in its directory, say."""
    notes: list[str] = []
    of: dict[str, Hint] = {}
    of.update(_comfyui(source, notes))
    of.update(_torchao(source, notes))
    return Hints(of, _beside(source, notes), tuple(notes))


# -- the file itself -------------------------------------------------------------------------------


def _comfyui(source: Source, notes: list[str]) -> dict[str, Hint]:
    found: dict[str, Hint] = {}
    text = source.metadata.get("_quantization_metadata")
    if isinstance(text, str):
        where = "metadata _quantization_metadata"
        try:
            layers = _json(text)["layers"]
            for name, layer in layers.items():
                found[f"{name}.weight"] = Hint("comfyui", where, element=str(layer["format"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            notes.append(f"{where} is not understood ({reason(error)}): {NAMES_USED}")
    for entry in source.entries:
        if entry.name.endswith(".comfy_quant"):
            module = entry.name.removesuffix("comfy_quant")
            found.setdefault(f"{module}weight", Hint("comfyui", "tensor comfy_quant"))
    return found


def _torchao(source: Source, notes: list[str]) -> dict[str, Hint]:
    """torchao/prototype/safetensors: a JSON text per tensor, `tensor_names` of all of them."""
    if "tensor_names" not in source.metadata:
        return {}
    found: dict[str, Hint] = {}
    for name, text in source.metadata.items():
        if name == "tensor_names" or not isinstance(text, str) or "_type" not in text:
            continue
        try:
            said = _json(text)
            if said["_type"] == "Tensor":
                continue
            data = said.get("_data", {})
            element = data.get("elem_dtype")
            if isinstance(element, Mapping):
                element = element.get("_data")
            swizzled = data.get("is_swizzled_scales")
            block = data.get("block_size")
            found[name] = Hint(
                "torchao", f"metadata: {quoted(str(said['_type']))}",
                block=_lengths(block) if isinstance(block, list) else None,
                element=None if element is None else str(element),
                swizzled=swizzled if isinstance(swizzled, bool) else None,
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            notes.append(
                f"the metadata of {quoted(name)} are not understood ({reason(error)}): {NAMES_USED}"
            )
    return found


def _json(text: str) -> Any:
    if len(text) > _LARGEST or text.count("{") + text.count("[") > _MOST_BRACKETS:
        raise ValueError("too long")
    return json.loads(text)


def _lengths(value: object) -> tuple[int, ...] | None:
    if isinstance(value, list) and value and all(type(each) is int and each > 0 for each in value):
        return tuple(value)
    return None


# -- beside it -------------------------------------------------------------------------------------


def _beside(source: Source, notes: list[str]) -> Hint | None:
    folder = Path(source.name).parent
    for name in _CONFIGS:
        try:
            said = _read(folder / name)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError) as error:
            notes.append(f"{name} beside it is not read ({cause(error)}): {NAMES_USED}")
            continue
        hint = _configured(said, name)
        if hint is not None:
            return hint
    return None


def _read(path: Path) -> Any:
    """A JSON document of bounded size.

    Raises:
        OSError, ValueError, RecursionError: it is none, or cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("no regular file")
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"more than {_LARGEST:,} bytes")
    if data.count(b"[") + data.count(b"{") > _MOST_BRACKETS:
        raise ValueError("too many parts")
    return json.loads(data)


def _configured(said: object, name: str) -> Hint | None:
    """What a configuration says of how weights are quantised; None if nothing."""
    if not isinstance(said, Mapping):
        return None
    if name == "hf_quant_config.json":
        quantization = said.get("quantization")
        algorithm = quantization.get("quant_algo") if isinstance(quantization, Mapping) else None
        return None if algorithm is None else Hint("modelopt", f"{name}: {quoted(str(algorithm))}")
    nested = said.get("text_config")
    for each in (said, nested if isinstance(nested, Mapping) else {}):
        method = each.get("quantization_config")
        if isinstance(method, Mapping) and isinstance(method.get("quant_method"), str):
            return _by_method(method, name)
    mlx = said.get("quantization")
    if isinstance(mlx, Mapping) and "group_size" in mlx:
        return Hint("mlx", f"{name}: quantization")
    return None


_QUARK_ELEMENTS = {"fp6_e2m3": "float6_e2m3fn", "fp6_e3m2": "float6_e3m2fn"}


def _by_method(said: Mapping[str, Any], name: str) -> Hint:
    method = str(said["quant_method"])[:_MOST_TEXT]
    block = _lengths(said.get("weight_block_size"))
    where = f"{name}: quant_method {quoted(method)}"
    element = None
    if method == "quark":
        weight = said.get("global_quant_config")
        weight = weight.get("weight") if isinstance(weight, Mapping) else None
        dtype = str(weight.get("dtype")) if isinstance(weight, Mapping) else ""
        element = _QUARK_ELEMENTS.get(dtype.lower())
    return Hint(method, where, block=block, element=element)


class LateHints:
    """The hints of sources, which are looked for when a candidate is there."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._found: dict[int, Hints] = {}

    def __call__(self, number: int) -> Hints:
        if number not in self._found:
            self._found[number] = hints_of(self._sources[number])
        return self._found[number]

    def has_own(self, number: int) -> bool:
        """Whether a source says something of single tensors."""
        said = self._sources[number].metadata
        return "_quantization_metadata" in said or "tensor_names" in said

    def notes(self, number: int) -> tuple[str, ...]:
        """What is to be said of those that were looked for."""
        return self._found[number].notes if number in self._found else ()
