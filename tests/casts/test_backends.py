"""What the libraries cast, and what they only store."""

from __future__ import annotations

import pytest

from fpx.core.formats import FORMATS
from fpx.errors import UnavailableError
from fpx.measure.cast_compare import cast_compare
from tests.helpers import F16, F32


def test_a_format_that_torch_lacks() -> None:
    with pytest.raises(UnavailableError, match="no dtype"):
        cast_compare(["normal"], [FORMATS["float8_e3m4"]], from_=F32)


def test_what_torch_only_stores_is_unavailable() -> None:
    four = FORMATS["float4_e2m1fn"]
    with pytest.raises(UnavailableError, match="only stores"):
        cast_compare(["normal"], [four], from_=F32, size=10)
    with pytest.raises(UnavailableError, match="only stores"):
        cast_compare(["normal"], [F16], from_=four, size=10)
