"""The exact value of a code as text."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.shortest import value_text


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("bfloat16", 0x4049, "3.140625"),
        ("float16", 0x8000, "-0"),
        ("float16", 0xFC00, "-inf"),
        ("float16", 0xFE01, "-nan"),
        ("float8_e4m3fnuz", 0x80, "nan"),
        ("float8_e8m0fnu", 0x7E, "0.5"),
        ("binary8p3uf", 0x00, "0"),
    ],
)
def test_values(name: str, code: int, text: str) -> None:
    assert value_text(code, find_format(name)) == text


@pytest.mark.parametrize("name", ["float8_e5m2", "float8_e4m3fnuz", "float8_e8m0fnu", "e4m6"])
def test_the_text_is_exact(name: str) -> None:
    spec = FORMATS.get(name) or find_format(name)
    for code in range(1 << spec.bits):
        value, text = codec.decode(code, spec), value_text(code, spec)
        if value is None:
            assert text.lstrip("-") in ("inf", "nan")
        else:
            assert Fraction(text) == value.fraction
            assert text.startswith("-") == (code & spec.sign_mask != 0)
