"""bitsandbytes' weights of 4 bits: codes of a table, two in a byte, the high nibble first.

Each 64 elements (or so), of the whole tensor as one row, have an absmax. That may be quantised
itself: map[code] x absmax of absmaxes + offset. The shape is in a JSON text, a tensor of bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from math import isfinite, prod
from typing import Any

from fpx.core.elements import CODEBOOKS
from fpx.core.formats import FORMATS
from fpx.core.packing import Packing
from fpx.tensors.quantised.recipe import Nested, Recipe, Scales, Stored

ENDING = ".absmax"
STATE = ".quant_state.bitsandbytes__"
_TYPES = {"nf4": "nf4", "fp4": "fp4_bnb"}
_LONGEST = 1 << 16  # bytes of a state
_BLOCKS = frozenset(1 << bit for bit in range(5, 13))
_PLAIN = ("float32", "bfloat16", "float16")
_FLOAT32 = FORMATS["float32"]

Look = Callable[[str], "Stored | None"]


def base_of(name: str) -> str:
    """The name of the codes, of the name of their scales or of what is said of them; else ""."""
    if name.endswith(ENDING):
        return name.removesuffix(ENDING)
    return name.partition(STATE)[0] if STATE in name else ""


def is_state(name: str) -> bool:
    """Whether a tensor's name is that of what is said of a weight."""
    return STATE in name


def recipe_of(base: str, look: Look) -> tuple[Recipe, tuple[str, ...]]:
    """The weight of that name, and the names of the other tensors that belong to it.

    Args:
        base: the name of its codes.
        look: a tensor by its name.

    Raises:
        ValueError: the tensors are no such weight, and why.
    """
    codes, absmax = look(base), look(base + ENDING)
    if codes is None or absmax is None:
        raise ValueError(f"{base + ENDING if codes else base} is missing")
    kinds = [kind for kind in _TYPES if look(f"{base}{STATE}{kind}") is not None]
    if len(kinds) != 1:
        raise ValueError(f"its {base}{STATE}nf4 is {'doubled' if kinds else 'missing'}")
    name = f"{base}{STATE}{kinds[0]}"
    said = _state(look(name))
    if said.get("quant_type") != kinds[0]:
        raise ValueError(f"{name} is of type {said.get('quant_type')!r:.20}")
    shape, block = _shape(said), said.get("blocksize")
    if block not in _BLOCKS:
        raise ValueError(f"{name} has a blocksize of {block!r:.20}")
    count = prod(shape)
    if codes.type.bits * prod(codes.shape) != 8 * -(-count // 2):
        raise ValueError(f"{name} has a shape of {list(shape)}, for which its bytes do not suffice")
    if prod(absmax.shape) != -(-count // block):
        raise ValueError(f"its {absmax.name} has {prod(absmax.shape):,} numbers")
    nested, parts = _nested(base, absmax, said, look)
    scales = Scales(absmax.entry, _FLOAT32, (block,), nested=nested)
    if nested is None:
        spec = FORMATS.get(absmax.type.name)
        if spec is None or spec.name not in _PLAIN:
            raise ValueError(f"its {absmax.name} is {absmax.type.name}")
        scales = Scales(absmax.entry, spec, (block,))
    element = CODEBOOKS[_TYPES[kinds[0]]]
    recipe = Recipe(base, shape, codes, element, Packing.HIGH_FIRST, (scales,), flat=True)
    beside = [*parts, name, *([f"{base}.quant_map"] if look(f"{base}.quant_map") else [])]
    return recipe, tuple(beside)


def _state(stored: Stored | None) -> Mapping[str, Any]:
    """The JSON object in a tensor of bytes."""
    from fpx.tensors.quantised.bytes import stretch

    assert stored is not None
    if stored.type.name != "uint8" or prod(stored.shape) > _LONGEST:
        raise ValueError(f"{stored.name} is no text of bytes")
    text = bytes(stretch(stored.entry, 0, stored.entry.count, _LONGEST).tolist())
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise ValueError(f"{stored.name} is no JSON object")
    return said


def _shape(said: Mapping[str, Any]) -> tuple[int, ...]:
    shape = said.get("shape")
    if not isinstance(shape, list) or not all(
        type(each) is int and 0 <= each < 1 << 48 for each in shape
    ):
        raise ValueError("its quant_state has no shape")
    return tuple(shape)


def _nested(
    base: str, absmax: Stored, said: Mapping[str, Any], look: Look
) -> tuple[Nested | None, tuple[str, ...]]:
    """How scales that are codes are made, and of what tensors."""
    if "nested_blocksize" not in said:
        return None, ()
    names = (f"{base}.nested_quant_map", f"{base}.nested_absmax")
    values, scales = (look(name) for name in names)
    block, offset = said["nested_blocksize"], said.get("nested_offset")
    if values is None or scales is None:
        raise ValueError(f"its {names[0] if values is None else names[1]} is missing")
    if absmax.type.name != "uint8" or prod(values.shape) != 256:
        raise ValueError(f"its {absmax.name} are no codes of {names[0]}")
    if any(each.type.name not in _PLAIN for each in (values, scales)):
        raise ValueError(f"its {names[1]} is {scales.type.name}")
    if type(block) is not int or block < 1 or prod(scales.shape) != -(-prod(absmax.shape) // block):
        raise ValueError(f"its {names[1]} has {prod(scales.shape):,} numbers")
    if not isinstance(offset, (int, float)) or not isfinite(offset):
        raise ValueError("its quant_state has no nested_offset")
    return Nested(values.entry, scales.entry, block, Fraction(offset)), names
