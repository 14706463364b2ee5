"""Layouts damaged at random: no traceback, no tensor lost, and every entry reads or is one line."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from dataclasses import replace
from math import prod
from pathlib import Path

import pytest

from fpx.errors import InputError
from fpx.tensors.opening import open_all
from tests.quantised_writers import Made, Raw
from tests.tensors.quantised.test_layouts import LAYOUTS

DTYPES = {"U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E8M0": 1, "F8_E5M2": 1, "U32": 4, "F32": 4, "BF16": 2,
          "F64": 8, "BOOL": 1, "I64": 8}  # fmt: skip


def damaged(made: Made, rng: random.Random) -> Made:
    """It with one of its parts off."""
    name = rng.choice(sorted(made.tensors))
    raw = made.tensors[name]
    way = rng.randrange(6)
    if way == 0:
        return made.without(name)
    if way == 1:  # another dtype of the same shape
        dtype = rng.choice(sorted(DTYPES))
        return made.with_(name, Raw(dtype, raw.shape, bytes(DTYPES[dtype] * prod(raw.shape))))
    if way == 2:  # another shape
        length = 8 * len(raw.data) // max(prod(raw.shape), 1)
        shape = tuple(rng.choice((each, each + 1, max(each - 1, 0), 1, 0)) for each in raw.shape)
        data = bytes(rng.randrange(256) for _ in range(length * prod(shape) // 8))
        return made.with_(name, Raw(raw.dtype, shape, data))
    if way == 3:  # one more of the same
        return made.with_(
            f"{name}{rng.choice(('_inv', '_2', '_scale', '.absmax', '_packed'))}", raw
        )
    if way == 4:  # any bytes
        return made.with_(name, replace(raw, data=bytes(rng.randrange(256) for _ in raw.data)))
    said = rng.choice((
        {"quant_method": "modelopt"}, {"quant_method": "quark"}, {"quant_method": "torchao"},
        {"quant_method": "fp8", "weight_block_size": [rng.randrange(0, 9), -1]},
        {"quant_method": "fp8", "weight_block_size": [1 << 70, 3]}, {"quant_method": ["x"]},
    ))  # fmt: skip
    return made.with_config(**said)


@pytest.mark.parametrize("name", LAYOUTS)
def test_damage_of_any_kind(name: str, tmp_path: Path) -> None:
    made, _ = LAYOUTS[name]
    rng = random.Random(name)
    for trial in range(25):
        folder = tmp_path / str(trial)
        folder.mkdir()
        bad = damaged(made, rng).with_("z.bias", Raw("F32", (2,), bytes(8)))
        if "F4" in json.dumps([raw.dtype for raw in bad.tensors.values()]) and any(
            prod(raw.shape) % 2 for raw in bad.tensors.values() if raw.dtype == "F4"
        ):
            continue  # half a byte is refused with the header
        (source,) = open_all([bad.write(folder)]).sources
        parts = set()
        for entry in source.entries:
            with suppress(InputError):  # the one way to end
                assert sum(len(block) for block in entry.blocks(1 << 10)) == entry.count
            if entry.quantised is None:
                parts.add(entry.name)
                continue
            found = entry.quantised
            parts |= {found.stored, *found.beside, *(each.tensor for each in found.scales)}
            found.doubts()
            if entry.count and found.follow is not None:
                found.follow(entry.index(entry.count - 1))
        nested = {each for each in bad.tensors if ".nested_" in each}
        assert parts | nested == set(bad.tensors) | nested
