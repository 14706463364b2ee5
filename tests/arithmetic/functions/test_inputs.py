"""Which operands are tried."""

from __future__ import annotations

import numpy as np
import pytest

from fpx.arithmetic.functions.catalogue import FUNCTIONS
from fpx.arithmetic.functions.inputs import ALL, SAMPLED, Inputs, choose_inputs
from fpx.arithmetic.functions.references import references
from fpx.core.spec import FormatSpec
from tests.helpers import BF16, E4M3, F32, F64, encode


def inputs(name: str, spec: FormatSpec, exhaustive: bool = False, **more: int) -> Inputs:
    function = FUNCTIONS[name]
    return choose_inputs(
        function, spec, exhaustive, more.get("size", 100), more.get("seed", 0),
        lambda codes: references(function, [codes], spec),
    )  # fmt: skip


@pytest.mark.parametrize("spec", [E4M3, BF16], ids=lambda spec: spec.name)
def test_every_code_of_few_bits(spec: FormatSpec) -> None:
    found = inputs("exp", spec)
    (codes,) = found.all()
    assert (found.kind, found.count) == (ALL, 1 << spec.bits)
    assert (codes == np.arange(1 << spec.bits)).all()


def test_every_pair_of_8_bits() -> None:
    found = inputs("add", E4M3)
    pairs = set(zip(*(column.tolist() for column in found.all()), strict=True))
    assert (found.kind, found.count, len(pairs)) == (ALL, 1 << 16, 1 << 16)


def test_every_code_of_32_bits_in_blocks() -> None:
    found = inputs("exp", F32, exhaustive=True)
    assert (found.kind, found.count, found.count % found.size) == (ALL, 1 << 32, 0)
    for number in (0, 1, found.blocks - 1):
        (codes,) = found.block(number)
        assert (codes[0], codes[-1]) == (number * found.size, (number + 1) * found.size - 1)


@pytest.mark.parametrize(
    ("name", "last"),
    [("exp", "88.72283935546875"), ("exp2", "127.99999237060547"), ("sinh", "89.41598510742188"),
     ("square", "18446742974197923840"), ("exp", "-103.97207641601562"), ("acos", "1"),
     ("log", "2^-149"), ("expm1", "88.72283935546875")],
)  # fmt: skip
def test_where_results_change_their_kind(name: str, last: str) -> None:
    """The last operand on one side, and its neighbours."""
    found = inputs(name, F32, size=1)
    (codes,) = found.all()
    assert found.kind == SAMPLED
    code = encode(last, F32)
    assert set(range(code - 1, code + 2)) <= set(codes.tolist())


def test_ends_of_binades_specials_and_random_codes() -> None:
    (codes,) = inputs("tanh", F32, size=1000).all()
    known = set(codes.tolist())
    for x in ("1", "2^-126", "2^127", "1.5", "0", "2^-149", "-1", "inf", "-inf", "-0"):
        assert encode(x, F32) in known, x
    assert {encode("1", F32) - 1, encode("2", F32) + 1, F32.max_finite_magnitude} <= known
    assert ((codes & 0x7FFFFFFF) > 0x7F800000).any()  # a NaN
    assert (codes >= 0).all()
    assert (codes < 1 << 32).all()


def test_a_seed_means_these_codes() -> None:
    def drawn(seed: int, size: int = 50) -> set[int]:
        (codes,) = inputs("tanh", F32, size=size, seed=seed).all()
        assert len(set(codes.tolist())) == len(codes)
        return set(codes.tolist())

    assert drawn(3) == drawn(3)
    assert 45 <= len(drawn(3) - drawn(4)) <= 50
    assert len(drawn(3, 1050)) - len(drawn(3)) in range(990, 1001)


def test_pairs_have_boundaries_of_both_and_numbers_of_like_size() -> None:
    found = inputs("pow", BF16, size=3000)
    x, y = found.all()
    pairs = set(zip(x.tolist(), y.tolist(), strict=True))
    assert found.kind == SAMPLED
    edges = [encode(text, BF16) for text in ("0", "-0", "1", "-1", "inf", "2^-133", "1.5")]
    edges.append(0x7FC1)  # a NaN
    assert {(a, b) for a in edges for b in edges} <= pairs
    last_a, last_b = (column[-3000:] & 0x7FFF for column in (x, y))
    alike = np.abs((last_a[1000:2000] >> 7) - (last_b[1000:2000] >> 7))
    assert (alike <= BF16.precision + 3).mean() > 0.95
    exponents = (last_a[2000:] >> 7) - 127
    assert ((exponents >= -8) & (exponents <= 8)).all()


def test_nans_of_pairs_are_quiet() -> None:
    for column in inputs("fmax", BF16).all():
        nans = column[(column & 0x7FFF) > 0x7F80]
        assert len(nans)
        assert (nans & BF16.quiet_bit != 0).all()


def test_wide_formats() -> None:
    columns = inputs("mul", F64, size=30).all()
    assert {len(column) for column in columns} == {len(columns[0])}
    assert set(columns[0].tolist()) >= {encode(1, F64), encode(-1, F64) - (1 << 64), 1}
