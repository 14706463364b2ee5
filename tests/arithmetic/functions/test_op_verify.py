"""What op-verify makes of functions: rows, the worst, where, what is not checked."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from fpx.arithmetic.functions import op_verify as module
from fpx.arithmetic.functions.catalogue import FUNCTIONS, find_functions
from fpx.arithmetic.functions.codes import Codes
from fpx.arithmetic.functions.function import Function
from fpx.arithmetic.functions.implementations import Implementation
from fpx.arithmetic.functions.op_verify import list_functions, op_verify
from fpx.arithmetic.functions.references import references
from fpx.arithmetic.functions.tally import Tally
from fpx.arithmetic.functions.wrong_results import error_ulp
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.limits import parse_limit
from fpx.report.op_verify import NUMBERS
from tests.arithmetic.functions.planted import Planted, at, counts, verify
from tests.helpers import BF16, E4M3, E8M0, F16, F32, F64, encode


def one(x: object) -> int:
    return encode(x, BF16)


def test_the_worst_is_that_of_the_largest_error() -> None:
    """Of errors of one step, that which is farthest from the exact value."""

    def off(columns: tuple[Codes, ...], right: Codes) -> Codes:
        chosen = (columns[0] > one(1)) & (columns[0] < one(2))
        return np.where(chosen, right + 1, right)

    row = verify("exp", BF16, off, examples=2)
    assert counts(row) == {"one_step": 127}
    errors = {}
    for code in range(one(1) + 1, one(2)):
        x = 1 + Fraction(code - one(1), 128)
        exact = sum(x**n / Fraction(_factorial(n)) for n in range(60))
        right = round(exact / Fraction(1, 64)) if exact < 4 else round(exact / Fraction(1, 32))
        ulp = Fraction(1, 64) if exact < 4 else Fraction(1, 32)
        errors[code] = float(abs((right + 1) * ulp - exact) / ulp)
    worst = max(errors, key=lambda code: errors[code])
    assert row.worst is not None
    assert int(row.worst.operands[0].code, 16) == worst
    assert row.max_error_ulp == pytest.approx(errors[worst], rel=1e-12)
    assert row.max_steps == 1
    first, second = row.causes[0].examples
    assert first == row.worst
    assert (second.error_ulp or 0) == pytest.approx(sorted(errors.values())[-2], rel=1e-12)
    assert row.worst.exact.startswith(str(float(x_exact(worst)))[:12])


@pytest.mark.parametrize("spec", [BF16, F16, F32, F64], ids=lambda spec: spec.name)
def test_ulps_are_of_the_right_result_however_many_values_lie_between(spec: FormatSpec) -> None:
    """Zero in place of 4 is nearer than 128 in place of 16, though more values lie between."""

    def off(columns: tuple[Codes, ...], right: Codes) -> Codes:
        found = np.where(columns[0] == encode(16, spec), 0, right)
        found = np.where(columns[0] == encode(256, spec), encode(128, spec), found)
        return np.where(columns[0] == encode(64, spec), encode("inf", spec), found)

    codes = np.array([encode(x, spec) for x in (16, 64, 256)])
    tally = Tally(FUNCTIONS["sqrt"], spec, 1)
    right = references(FUNCTIONS["sqrt"], [codes], spec)
    tally.add((codes,), right, off((codes,), right))
    first, second = tally.worst
    assert first.codes == (encode(256, spec),)
    assert -first.rank == 112 / 2.0 ** (4 - spec.fraction_bits)
    assert -second.rank == 4 / 2.0 ** (2 - spec.fraction_bits)


def _factorial(n: int) -> int:
    return 1 if n < 2 else n * _factorial(n - 1)


def x_exact(code: int) -> Fraction:
    x = 1 + Fraction(code - one(1), 128)
    return sum((x**n / Fraction(_factorial(n)) for n in range(60)), Fraction(0))


def test_where_results_are_wrong() -> None:
    def off(columns: tuple[Codes, ...], right: Codes) -> Codes:
        x = columns[0]
        return np.where((x == one(-3)) | (x == one("2^-130")) | (x == one(1.5)), right + 9, right)

    row = verify("exp", BF16, off)
    assert [
        (b.negative, b.kind, b.exponent, b.count, b.wrong_count) for b in row.binades
    ] == [(True, "normal", 1, 128, 1), (False, "subnormal", -127, 127, 1),
          (False, "normal", 0, 128, 1)]  # fmt: skip


@pytest.mark.parametrize(
    ("got", "exact", "spec", "ulps"),
    [
        ("1", "1", BF16, 0), ("1.0078125", "1", BF16, 1), ("1", "0.999", BF16, Fraction(256, 1000)),
        ("0", "2^-130", BF16, 8), ("2^-133", "0", BF16, 1), ("-1", "1", F16, 2048),
        ("65504", "65520", F16, Fraction(1, 2)), ("0", "-1", E4M3, 8),
    ],
)  # fmt: skip
def test_errors_in_ulps_at_the_exact_value(
    got: str, exact: str, spec: FormatSpec, ulps: Fraction
) -> None:
    power = exact.partition("^")[2]
    value = Fraction(2) ** int(power) if power else Fraction(exact)
    assert error_ulp(encode(got, spec), value, spec) == ulps


def test_an_error_of_no_number_is_none() -> None:
    assert error_ulp(0x7F80, Fraction(1), BF16) is None
    row = verify("exp", BF16, at(one(1), 0x7F80))
    assert (row.max_error_ulp, row.max_steps, row.worst) == (None, 0, None)
    assert row.causes[0].examples[0].error_ulp is None
    row = verify("exp", BF16, at(one("3e38"), 0))  # its exact result has 10^38 digits
    assert row.causes[0].examples[0].error_ulp is None
    assert "e+" in row.causes[0].examples[0].exact


@pytest.mark.parametrize(
    ("name", "x", "exact"),
    [("sqrt", "4", "2"), ("reciprocal", "3", "0.333333333333333333333333333333"),
     ("log", "0", "-inf"), ("log", "-1", "nan"), ("log", "1", "0"),
     ("exp", "1", "2.718281828459045235"), ("square", "1.0078125", "1.01568603515625")],
)  # fmt: skip
def test_exact_results_are_written_out(name: str, x: str, exact: str) -> None:
    row = verify(name, BF16, at(one(x), 0x4555))
    assert row.causes[0].examples[0].exact.startswith(exact)


def test_examples_are_kept_as_asked() -> None:
    row = verify("exp", BF16, lambda columns, right: right ^ 1, examples=5)
    assert all(len(cause.examples) == min(5, cause.count) for cause in row.causes)
    (steps,) = (cause for cause in row.causes if cause.cause == "one_step")
    errors = [example.error_ulp or 0 for example in steps.examples]
    assert errors == sorted(errors, reverse=True)


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from fpx.arithmetic.functions import inputs

    whole = verify("sin", F16, lambda columns, right: np.where(columns[0] % 5, right, right ^ 3))
    monkeypatch.setattr(inputs, "_BLOCK", 1000)
    parts = verify("sin", F16, lambda columns, right: np.where(columns[0] % 5, right, right ^ 3))
    assert parts == whole
    assert whole.wrong_count > 10_000


class Interrupting(Planted):
    """Ctrl-C at its fourth block, the last of 2^16 codes, once."""

    def compute(self, function: Function, columns: Sequence[Codes], spec: FormatSpec) -> Codes:
        if len(self.calls) == 4:
            self.calls.append(0)
            raise KeyboardInterrupt
        return super().compute(function, columns, spec)


def test_an_interrupt_leaves_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    from fpx.arithmetic.functions import inputs

    monkeypatch.setattr(inputs, "_BLOCK", 1 << 14)
    report = op_verify(find_functions(["exp", "sin"]), [BF16], implementations=[Interrupting()])
    first, second = report.rows
    assert (first.checked_count, first.complete, first.verdict) == (3 << 14, False, "right")
    assert (second.checked_count, second.complete, second.verdict) == (0, False, "not run")
    assert not report.complete


def test_progress_ends_at_its_total() -> None:
    heard: list[int] = []

    class Listener:
        def start(self, total: int) -> None:
            heard.append(-total)

        def advance(self, count: int) -> None:
            heard.append(count)

    op_verify(
        find_functions(["exp", "add"]), [E4M3, find_format("e5m7")], backends=["numpy", "torch"],
        progress=Listener(),
    )  # fmt: skip
    assert sum(heard) == 0


def test_all_inputs_of_a_format_at_once_or_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `exhaustive` does to 2^32 inputs, on a format of 17 bits."""
    wide = find_format("e8m8")

    def off(columns: tuple[Codes, ...], right: Codes) -> Codes:
        return np.where(columns[0] == encode("2", wide), right + 1, right)

    sampled = verify("log", wide, off)
    assert (sampled.inputs, sampled.wrong_count) == ("sampled", 1)
    monkeypatch.setattr(module, "_WRITTEN", 100)
    whole = verify("log", wide, off, exhaustive=True)
    assert (whole.inputs, whole.checked_count, whole.wrong_count) == ("all", 1 << 17, 1)
    assert whole.complete


def test_what_is_not_checked_is_said() -> None:
    report = op_verify(find_functions(["exp", "erf"]), [E4M3, BF16], backends=["numpy"])
    assert [row.offered for row in report.rows] == [True, True, False, False]
    assert [line.partition(":")[0] for line in report.unchecked] == [
        "erf of float8_e4m3fn", "erf of bfloat16"
    ]  # fmt: skip
    lenient = op_verify(find_functions(["exp", "erf"]), [E4M3], backends=["numpy"], lenient=True)
    assert lenient.unchecked == ()
    nothing = op_verify(find_functions(["exp", "erf"]), [E8M0], lenient=True)
    assert [line.partition(":")[0] for line in nothing.unchecked] == ["float8_e8m0fnu"]
    both = op_verify(find_functions(["exp"]), [E4M3], backends=["numpy", "torch"])
    assert both.unchecked == ()


def test_checks_are_of_rows_that_were_computed() -> None:
    checks = [parse_limit("checked_count<300", NUMBERS)]
    report = op_verify(
        find_functions(["exp", "erf"]), [E4M3], backends=["numpy"], checks=checks
    )  # fmt: skip
    assert [failure.row.function for failure in report.failures()] == ["exp"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"size": 0}, "`size` and `examples`"), ({"examples": 0}, "`size` and `examples`"),
        ({"seed": -1}, "`seed`"), ({"layout": "heap"}, "`layout` must be"),
        ({"backends": ["jax"]}, "`backend` is one of torch, numpy, not 'jax'"),
        ({"backends": ["numpy"], "compiled": True}, "nothing to compile"),
        ({"formats": [find_format("fp128")]}, "float128 has 128 bits"),
        ({"formats": [F64], "exhaustive": True}, "float64 has 64"),
        ({"formats": [F32], "exhaustive": True, "layout": "scalar"}, "takes hours"),
        ({"functions": ["add", "exp"], "exhaustive": True}, "leave out add"),
        ({"devices": ["gpu"]}, "unknown device"),
    ],
)  # fmt: skip
def test_arguments_that_are_off(more: dict[str, object], says: str) -> None:
    given = {"functions": ["exp"], "formats": [BF16]} | more
    functions = find_functions(given.pop("functions"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=says):
        op_verify(functions, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["exq"], "no function 'exq'; did you mean 'exp'?"),
        (["er\x1b[31mf"], r"no function 'er\\x1b\[31mf'"),
        (["x" * 500], r"\(500 characters\); fpx op-verify alone lists"),
        ([""], "no function ''"),
        ([], "no function is named"),
    ],
)
def test_names_that_are_none(names: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says.replace("?", r"\?")):
        find_functions(names)


def test_names() -> None:
    found = find_functions(["torch.exp", "F.gelu", "EXP", "nn.functional.silu"])
    assert [row.name for row in found] == ["exp", "gelu", "silu"]
    assert find_functions(["gelu", "all"]) == [
        FUNCTIONS["gelu"], *(row for row in FUNCTIONS.values() if row.name != "gelu")
    ]  # fmt: skip


def test_the_list_has_every_function() -> None:
    rows = list_functions().rows
    assert [row.function for row in rows] == list(FUNCTIONS)
    by_name = {row.function: row for row in rows}
    assert by_name["asin"].numpy == "numpy.arcsin"
    assert by_name["gelu_tanh"].torch == "torch.nn.functional.gelu(approximate='tanh')"
    assert by_name["atan2"].operands == 2
    assert all(row.definition for row in rows)


def test_flushing_reaches_the_function() -> None:
    import torch

    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no flush-to-zero mode")
    torch.set_flush_denormal(False)
    functions = find_functions(["square"])
    plain, flushed = (
        op_verify(functions, [F32], size=2000, flush_denormal=mode).rows[0]
        for mode in (False, True)
    )
    assert plain.wrong_count == 0
    assert counts(flushed).keys() == {"flushed_to_zero"}


def test_each_implementation_has_its_rows() -> None:
    wrong = Planted(at(one(1), 0))
    both: list[Implementation] = [Planted(), wrong]
    report = op_verify(find_functions(["exp"]), [BF16], implementations=both)
    assert [row.wrong_count for row in report.rows] == [0, 1]
