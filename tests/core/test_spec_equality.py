"""Formats are equal by value: however they were made, and wherever they have been."""

from __future__ import annotations

import copy
import itertools
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest

from fpx.core.codec import round_exact
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec

SPECS = [*FORMATS.values(), *map(find_format, ("e5m7", "e4m6b11fnuz", "binary8p4se"))]


def test_a_custom_format_is_itself_after_hundreds_of_others() -> None:
    names = ["e5m7", "binary8p4se", "e4m3b9fn"]
    before = [find_format(name) for name in names]
    shapes = itertools.product(range(3, 8), range(1, 9), range(20, 36))
    others = {find_format(f"e{w}m{f}b{b}") for w, f, b in shapes}
    others |= {find_format(f"binary{k}p{p}sf") for k in range(4, 20) for p in range(1, k - 1)}
    assert len(others) == 5 * 8 * 16 + sum(range(2, 18))
    after = [find_format(name) for name in names]
    assert after == before
    assert [hash(spec) for spec in after] == [hash(spec) for spec in before]
    assert dict.fromkeys([*before, *after]) == dict.fromkeys(before)
    assert not others & set(before)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_copies_are_equal(spec: FormatSpec) -> None:
    round_exact(1, 3, spec)  # what is derived by then travels with no copy
    for other in (copy.copy(spec), copy.deepcopy(spec), pickle.loads(pickle.dumps(spec))):
        assert other is not spec
        assert other == spec
        assert hash(other) == hash(spec)
        assert round_exact(1, 3, other) == round_exact(1, 3, spec)


def test_a_pickle_is_equal_in_a_process_with_other_hashes() -> None:
    spec = find_format("e5m7")
    hash(spec)
    program = (
        "import pickle, sys\n"
        "from fpx.core.names import find_format\n"
        "spec = pickle.loads(sys.stdin.buffer.read())\n"
        "print(spec == find_format('e5m7'), spec in {find_format('e5m7')}, hash('fpx'))\n"
    )
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", program], input=pickle.dumps(spec), capture_output=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}, timeout=60, check=True,
        ).stdout.split()  # fmt: skip
        assert found[:2] == [b"True", b"True"]


def test_formats_that_differ_in_one_field_are_not_equal() -> None:
    spec = FORMATS["float8_e4m3fn"]
    changes: dict[str, object] = {
        "name": "other", "exponent_bits": 5, "fraction_bits": 4, "bias": 8, "signed": False,
        "zero": False, "infinity": True, "nan": FORMATS["float8_e5m2"].nan, "aliases": (),
        "citation": "",
    }  # fmt: skip
    for field, value in changes.items():
        assert replace(spec, **{field: value}) != spec, field  # type: ignore[arg-type]
