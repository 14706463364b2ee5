"""Stochastic rounding of tensors, against that of single numbers, and against all random words."""

from __future__ import annotations

import hashlib
import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

from fpx.casts.random_words import WORD_BITS, words_at
from fpx.casts.stochastic import away, chances, goes_away, round_away
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Scheme, Stochastic
from fpx.core.spec import FormatSpec
from fpx.core.stochastic import distribute
from fpx.errors import InputError
from fpx.tensors.dtypes import container, origin_of, torch_dtype
from tests.helpers import BF16, E4M3, E5M2, E8M0, F16, F32, F64

ROUNDED = [Stochastic(), *(Stochastic(bits, scheme) for bits in (1, 4, 13) for scheme in Scheme)]


def some_codes(origin: FormatSpec) -> torch.Tensor:
    """All codes of few bits; of wider formats random ones, many of them near 1."""
    dtype = container(origin)
    if origin.bits <= 8:
        return torch.arange(1 << origin.bits).to(dtype)
    generator = torch.Generator().manual_seed(1)
    random = torch.randint(-(1 << 62), 1 << 62, (1500,), generator=generator)
    exponents = torch.randint(-30, 30, (1500,), generator=generator)
    near = torch.randn(1500, generator=generator, dtype=torch.float64) * 2.0**exponents
    held = near.to(torch_dtype(origin)).view(dtype)
    return torch.cat([(random >> (63 - origin.bits)).to(dtype), held])


@pytest.mark.parametrize(
    ("origin", "target"),
    [(F16, E4M3), (F16, E5M2), (BF16, F16), (BF16, E4M3), (F16, E8M0), (E5M2, E4M3),
     (F32, BF16), (F32, E4M3), (F64, F16), (F64, BF16), (F64, F32),
     (F16, find_format("fp4")), (F16, find_format("e3m2fn")), (BF16, find_format("binary8p3uf")),
     (F16, find_format("float8_e4m3fnuz"))],
    ids=lambda spec: spec.name,
)  # fmt: skip
@pytest.mark.parametrize("overflow", [Overflow.IEEE, Overflow.SATURATE])
def test_tensors_have_the_distributions_of_single_numbers(
    origin: FormatSpec, target: FormatSpec, overflow: Overflow
) -> None:
    codes = some_codes(origin)
    found = chances(codes, origin, target)
    mask = (1 << target.bits) - 1
    ups = (torch.full(codes.shape, up) for up in (False, True))
    rounded = (round_away(found, up, target, overflow).to(torch.int64) & mask for up in ups)
    toward, further = (result.tolist() for result in rounded)
    shares = {rounding: away(found.distance, rounding).tolist() for rounding in ROUNDED}
    checked = 0
    for at, code in enumerate(codes.tolist()):
        code %= 1 << origin.bits
        value = codec.decode(code, origin)
        if value is None:
            assert found.certain[at]
            continue
        negative = bool(code & origin.sign_mask)
        expected = distribute(value.fraction, target, Stochastic(), overflow, negative=negative)
        assert toward[at] == expected.outcomes[0].rounded.code
        if len(expected.outcomes) == 2:
            assert further[at] == expected.outcomes[1].rounded.code
            for rounding, share in shares.items():
                assert Fraction(share[at]) == rounding.away(expected.distance)
            checked += 1
        elif not found.certain[at] and not expected.outcomes[0].rounded.overflow:
            assert found.distance[at] == 0
    assert checked > 50


@pytest.mark.parametrize("rounding", [r for r in ROUNDED if r.bits], ids=lambda r: r.value)
def test_words_take_numbers_away_as_often_as_they_should(rounding: Stochastic) -> None:
    bits = rounding.bits
    assert bits is not None
    codes = torch.arange(0x3C00, 0x4000, 7).to(torch.int16)  # from 1 to 2
    found = chances(codes, F16, E4M3)
    count = torch.zeros(len(codes))
    for word in range(1 << bits):
        low = torch.randint(0, 1 << 40, codes.shape)  # bits that do not count
        count += goes_away(found.distance, rounding, (word << (WORD_BITS - bits)) + low)
    assert (count / (1 << bits)).tolist() == away(found.distance, rounding).tolist()


def test_the_ideal_takes_all_of_a_word() -> None:
    codes = torch.tensor([0x3C01, 0x3C40, 0x3C00], dtype=torch.int16)
    found = chances(codes, F16, E4M3)
    for at, distance in enumerate(found.distance.tolist()):
        edge = int(Fraction(distance) * (1 << WORD_BITS))
        for word, goes in ((max(edge - 1, 0), edge > 0), (edge, False)):
            words = torch.full((3,), word, dtype=torch.int64)
            assert bool(goes_away(found.distance, Stochastic(), words)[at]) is goes


def test_words_are_numpys_philox_whatever_the_pieces() -> None:
    whole = words_at(7, "layer.weight", 0, 1000)
    assert whole.min() >= 0
    for cuts in ([0, 1, 2, 3, 1000], [0, 5, 17, 333, 1000], [0, 512, 1000]):
        parts = [words_at(7, "layer.weight", start, stop - start) for start, stop in pairwise(cuts)]
        assert torch.equal(torch.cat(parts), whole)
    far = words_at(7, "layer.weight", (1 << 40) + 1, 9)
    assert torch.equal(far, words_at(7, "layer.weight", 1 << 40, 10)[1:])
    for other in (words_at(8, "layer.weight", 0, 1000), words_at(7, "layer.bias", 0, 1000)):
        assert not (other == whole).any()
    assert words_at(-1, "", 0, 4).shape == (4,)
    mean = float(words_at(3, "x", 0, 1 << 16).to(torch.float64).mean()) / 2**WORD_BITS
    assert abs(mean - 0.5) < 0.005


def test_the_words_of_record() -> None:
    """Draws stay what they were: the raw words of Philox with the seed and a digest as its key."""
    digest = int.from_bytes(hashlib.blake2b(b"w", digest_size=8).digest(), "little")
    raw = np.random.Philox(key=np.array([5, digest], dtype=np.uint64)).random_raw(6)
    assert words_at(5, "w", 2, 4).tolist() == [int(word) >> 1 for word in raw[2:]]


def test_overflow_to_nan_needs_one() -> None:
    found = chances(torch.zeros(1, dtype=torch.int16), F16, FORMATS["float4_e2m1fn"])
    with pytest.raises(InputError, match="no NaN to overflow to"):
        round_away(found, torch.zeros(1, dtype=torch.bool), FORMATS["float4_e2m1fn"], Overflow.NAN)


@pytest.mark.parametrize("name", ["bfloat16", "float32", "e8m5"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint64], ids=str)
def test_integers_that_float64_lacks_stay_on_their_side(name: str, dtype: torch.dtype) -> None:
    """At where words turn, and one beside that."""
    target, rng, numbers = find_format(name), random.Random(name), list[int]()
    low, high = (0, 2**64 - 1) if dtype is torch.uint64 else (-(2**63), 2**63 - 1)
    for _ in range(60):
        below = (rng.getrandbits(target.fraction_bits) | 1 << target.fraction_bits) << 64
        below >>= target.precision + rng.randrange(2)
        ulp = below & -below
        for part in (0, ulp // 2, ulp // 4, ulp // 16 * 5, ulp - 1):
            numbers += [rng.choice([1, -1]) * (below + part + more) for more in (-1, 0, 1, 2)]
    numbers = [number for number in numbers if low <= number <= high]
    kind = np.uint64 if dtype is torch.uint64 else np.int64
    codes = torch.from_numpy(np.array(numbers, dtype=kind)).view(container(origin_of(dtype)))
    found = chances(codes, origin_of(dtype), target)
    shares = {rounding: away(found.distance, rounding).tolist() for rounding in ROUNDED[1:]}
    checked = 0
    for at, (number, distance) in enumerate(zip(numbers, found.distance.tolist(), strict=True)):
        expected = distribute(Fraction(number), target, Stochastic())
        if len(expected.outcomes) < 2:
            continue
        assert 0 < distance < 1
        assert distance == pytest.approx(float(expected.distance), rel=0, abs=2**-37)
        for rounding, share in shares.items():
            assert Fraction(share[at]) == rounding.away(expected.distance)
        checked += 1
    assert checked > 200
