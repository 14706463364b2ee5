"""Edges against exact rounding: which magnitude is the first that becomes something else."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fpx.core.codec import round_exact
from fpx.core.dyadic import Dyadic
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.training.watch.edges import (
    Counted,
    Edges,
    first_beyond,
    flushed_below,
    largest_scale,
    last_subnormal,
    rounds_above,
)
from fpx.training.watch.targets import watched_formats

TARGETS = watched_formats("all")
SOURCES = [FORMATS[name] for name in ("float64", "float32", "float16", "bfloat16", "float8_e5m2")]


def becomes(magnitude: int, source: FormatSpec, target: FormatSpec) -> Fraction:
    """A value of the source rounded to the target as if its exponents had no upper end."""
    wide = FormatSpec("wide", target.exponent_bits + 5, target.fraction_bits, target.bias)
    value = source.finite(magnitude).fraction
    return wide.finite(round_exact(*value.as_integer_ratio(), wide).code).fraction


@pytest.mark.parametrize("target", TARGETS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("source", SOURCES, ids=lambda spec: spec.name)
def test_what_is_from_an_edge_on_rounds_to_more(source: FormatSpec, target: FormatSpec) -> None:
    top = source.max_finite_magnitude
    for magnitude in {0, 1, last_subnormal(target), target.max_finite_magnitude}:
        edge = rounds_above(magnitude, target, source)
        value = target.finite(magnitude).fraction
        if edge <= top:
            assert becomes(edge, source, target) > value
        assert becomes(edge - 1, source, target) <= value


@pytest.mark.parametrize("source", SOURCES, ids=lambda spec: spec.name)
@pytest.mark.parametrize("exponent", [-1074, -150, -149, -25, -16, 0, 5, 15, 127, 1023])
def test_the_first_above_a_power_of_two(source: FormatSpec, exponent: int) -> None:
    bound = Fraction(2) ** exponent
    for itself in (False, True):
        found = first_beyond(Dyadic(1, exponent), source, itself=itself)
        below, above = source.finite(found - 1), source.finite(found)
        assert below.fraction < bound or (below.fraction == bound and not itself)
        if found <= source.max_finite_magnitude:
            assert above.fraction > bound or (above.fraction == bound and itself)
        else:
            assert found == source.max_finite_magnitude + 1


def test_well_known_edges() -> None:
    single, half = FORMATS["float32"], FORMATS["float16"]
    assert rounds_above(half.max_finite_magnitude, half, single) == 0x477FF000  # 65520
    assert flushed_below(half) == -25
    assert rounds_above(0, half, single) == 0x33000001  # just above 2^-25
    e4m3 = FORMATS["float8_e4m3fn"]
    assert rounds_above(e4m3.max_finite_magnitude, e4m3, single) == 0x43E80001  # just above 464


@pytest.mark.parametrize("target", TARGETS, ids=lambda spec: spec.name)
def test_the_largest_scale_is_the_last_that_does_not_overflow(target: FormatSpec) -> None:
    source = FORMATS["float32"]
    for magnitude in (1, 3, 0x33000001, 0x3F800000, 0x477FEFFF, 0x477FF000, 0x7F7FFFFF):
        value = source.finite(magnitude)
        found = largest_scale(value, target)
        top = target.max_finite.fraction

        def rounded(exponent: int, value: Fraction = value.fraction) -> Fraction:
            wide = FormatSpec("wide", 15, target.fraction_bits, 16000)
            scaled = value * Fraction(2) ** exponent
            return wide.finite(round_exact(*scaled.as_integer_ratio(), wide).code).fraction

        assert rounded(found) <= top < rounded(found + 1)


def test_counts_of_buckets_by_hand() -> None:
    half = FORMATS["float16"]
    edges = Edges.of(half, (FORMATS["float8_e5m2"],))
    counts = [0] * edges.size
    counts[0], counts[edges.nan], counts[edges.infinite] = 3, 5, 2
    counts[edges.bucket(1)] = 7  # the smallest subnormal, 2^-24
    counted = Counted(edges, counts)
    assert (counted.finite_count, counted.zero_count) == (10, 3)
    assert (counted.inf_count, counted.nan_count) == (2, 5)
    target = FORMATS["float8_e5m2"]  # which flushes up to 2^-17
    assert [counted.underflows(target, s) for s in (-1, 0, 7, 8)] == [7, 7, 7, 0]
    assert counted.overflows(target) == counted.subnormals(target) == 0
