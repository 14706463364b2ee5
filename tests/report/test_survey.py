"""One number in every format, the best first."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

import fpx
from fpx.core.formats import FORMATS
from fpx.core.literals import parse_literal
from fpx.core.policy import Overflow, Rounding
from fpx.report.survey import survey


def test_a_survey_is_sorted_by_error() -> None:
    found = survey(
        parse_literal("448"), list(FORMATS.values()), [Rounding.TIES_TO_EVEN], Overflow.IEEE
    )
    names = [item.format for item in found.items]
    assert set(names) == set(FORMATS)
    assert names[0] == "float128"
    assert names.index("float8_e4m3fn") < names.index("float8_e8m0fnu")
    assert names.index("float8_e8m0fnu") < names.index("float6_e3m2fn")
    assert names.index("float4_e2m1fn") < names.index("float8_e4m3")  # finite before infinite
    assert names[-1] in ("float8_e4m3fnuz", "float8_e4m3b11fnuz")  # NaN last


@given(st.fractions(), st.sampled_from([*Rounding]))
def test_survey_errors_grow(x: Fraction, rounding: Rounding) -> None:
    specs = [spec for spec in FORMATS.values() if spec.bits < 64]
    found = survey(fpx.decode(x, "float32").literal, specs, [rounding], Overflow.SATURATE)
    errors = [abs(item.value - x) for item in found.items if item.value is not None]
    assert errors == sorted(errors)
