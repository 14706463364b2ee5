"""How many codes apart values are, against `fpx.core.codec` and Python's integers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fpx.casts.rounding import round_codes
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.measure.apart import Distances, expected, finite, may_be_unusual, places
from fpx.tensors.dtypes import INTEGERS, cast_dtype, codes_of, container, widened_dtype, wrapped
from tests.measure.plain_diff import code_list, number, wanted_code

SPECS = [spec for spec in FORMATS.values() if widened_dtype(spec) is not None]
SMALL = [spec for spec in FORMATS.values() if spec.bits <= 16]
INT64 = st.integers(-(2**63), 2**63 - 1)


def all_codes(spec: FormatSpec) -> torch.Tensor:
    dtype = container(spec)
    return torch.tensor([wrapped(code, dtype) for code in range(1 << spec.bits)], dtype=dtype)


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_places_are_ordinals(spec: FormatSpec) -> None:
    codes = all_codes(spec)
    for code, place, number_ in zip(
        range(1 << spec.bits), places(codes, spec).tolist(), finite(codes, spec).tolist(),
        strict=True,
    ):  # fmt: skip
        nan = codec.is_nan(code, spec)
        assert nan or place == codec.ordinal(code, spec)
        assert number_ == (not nan and codec.decode(code, spec) is not None)


@pytest.mark.parametrize("name", ["float32", "float64"])
@given(data=st.data())
def test_places_of_wide_codes_are_ordinals(name: str, data: st.DataObject) -> None:
    spec = FORMATS[name]
    code = data.draw(st.integers(0, (1 << spec.bits) - 1))
    held = torch.tensor([wrapped(code, container(spec))], dtype=container(spec))
    if codec.is_nan(code, spec):
        assert not finite(held, spec)
    else:
        assert places(held, spec).item() == codec.ordinal(code, spec)


@given(st.lists(st.tuples(INT64, INT64), min_size=1, max_size=20), st.integers(0, 2**65))
def test_distances_are_exact(pairs: list[tuple[int, int]], limit: int) -> None:
    first, second = (torch.tensor(side) for side in zip(*pairs, strict=True))
    found = Distances(first, second)
    true = [abs(a - b) for a, b in pairs]
    assert found.total() == sum(true)
    assert found.largest() == (max(true), true.index(max(true)))
    assert found.beyond(limit).tolist() == [distance > limit for distance in true]
    for edge in (true[0], max(true[0] - 1, 0)):
        assert found.beyond(edge).tolist() == [distance > edge for distance in true]


def test_the_ends_of_every_type_are_as_far_apart_as_they_are() -> None:
    for type_ in INTEGERS.values():
        x = torch.tensor([0, 1], dtype=torch.bool) if type_.bits == 1 else None
        if x is None:
            info = torch.iinfo(cast_dtype(type_))
            x = torch.tensor([info.min, info.max], dtype=cast_dtype(type_))
        low, high = places(codes_of(x), type_).view(2, 1)
        assert Distances(low, high).total() == 2**type_.bits - 1
    ends = torch.tensor([-torch.inf, torch.inf], dtype=torch.float64)
    low, high = places(codes_of(ends), FORMATS["float64"]).view(2, 1)
    assert Distances(low, high).total() == 2 * 0x7FF0000000000000


INTEGER_NAMES = [name for name in INTEGERS if name != "bool"]


@pytest.mark.parametrize("to", INTEGERS)
def test_what_integers_become(to: str) -> None:
    """Every number at the ends of integer types, from every type that has it."""
    edges = sorted(
        {
            sign * (1 << bits) + step
            for bits in (0, 1, 7, 8, 15, 16, 31, 32, 53, 62, 63, 64)
            for sign in (-1, 1)
            for step in (-1, 0, 1)
        }
    )
    for origin in INTEGERS.values():
        if origin.bits == 1:
            x = torch.tensor([False, True])
        else:
            info = torch.iinfo(cast_dtype(origin))
            held = [edge for edge in edges if info.min <= edge <= info.max]
            x = torch.tensor(held, dtype=cast_dtype(origin))
        _expect(x, to)
    halves = [n + 0.5 for n in range(-4, 4)]
    floats = [*map(float, edges), *halves, 254.5, 255.5, -128.5, 2.0**63 - 1024, 1e300, -1e300]
    _expect(torch.tensor([*floats, torch.inf, -torch.inf, torch.nan], dtype=torch.float64), to)


def _expect(x: torch.Tensor, to: str) -> None:
    from fpx.tensors.dtypes import origin_of

    type_, origin = INTEGERS[to], origin_of(x.dtype)
    found = expected(x, type_)
    got = code_list(found.codes.view(cast_dtype(type_)))
    for code, there, result in zip(code_list(x), found.finite.tolist(), got, strict=True):
        wanted = wanted_code(code, origin, type_)
        assert there == (wanted is not None), number(code, origin)
        assert wanted in (None, result), number(code, origin)


@pytest.mark.parametrize("target", [s for s in SPECS if s.bits <= 16], ids=lambda s: s.name)
@pytest.mark.parametrize("origin", ["float16", "bfloat16", "float32", "float64"])
def test_what_needs_no_rounding_is_rounded_right(origin: str, target: FormatSpec) -> None:
    """Whatever another tensor has, where it is not looked at, it is the nearest value."""
    a = FORMATS[origin]
    if a == target:
        return
    generator = torch.Generator().manual_seed(7)
    steps = torch.randint(-2, 3, (1 << 12,), generator=generator)
    for scale in (1.0, 1e-2, 1e-4, 1e-7):
        x = (torch.randn(1 << 12, generator=generator, dtype=torch.float64) * scale).to(
            cast_dtype(a)
        )
        x[:8] = torch.tensor([0.0, -0.0, 1.0, -1.0, 2.0, 1.5, 0.25, 3.0]).to(x.dtype)
        right = round_codes(codes_of(x), a, target)
        wrong = (right.to(torch.int64) + steps).to(right.dtype)
        wrong[8:16] ^= wrapped(target.sign_mask, wrong.dtype) if target.signed else 0
        for codes in (right, wrong):
            positions = may_be_unusual(x, codes.view(cast_dtype(target)))
            if positions is None:
                continue
            unseen = torch.ones(len(x), dtype=torch.bool)
            unseen[positions] = False
            assert torch.equal(codes[unseen], right[unseen])


def test_most_of_a_right_conversion_needs_no_rounding() -> None:
    x = torch.randn(1 << 12, generator=torch.Generator().manual_seed(1))
    positions = may_be_unusual(x, x.bfloat16())
    assert positions is not None
    assert len(positions) < 8
