"""Functions of users, held to what they should do: a right one, and one planted for each cause."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

import fpx
from fpx.callables import NamedFunction
from fpx.conformance import stochastic_trials, stochastic_verify
from fpx.conformance.functions import rounding_function
from fpx.conformance.stochastic_inputs import number_of, stochastic_inputs
from fpx.core.policy import Stochastic
from fpx.core.spec import FormatSpec
from fpx.core.stochastic import distribute
from fpx.errors import FpxError
from fpx.report.cast_verify import VerifyReport
from fpx.report.stochastic_verify import RoundingReport, RoundingRow
from tests.conformance import functions
from tests.helpers import BF16, E4M3, F16, F32, F64, call

HERE = "tests.conformance.functions"


def found(
    function: Callable[..., Any], rounding: str = "stochastic:8:a", bits: int | None = 8,
    **options: Any,
) -> RoundingRow:  # fmt: skip
    report = fpx.verify_function(function, rounding=rounding, random_bits=bits, **options)
    assert isinstance(report, RoundingReport)
    return report.row


def names(row: RoundingRow) -> list[str]:
    return [cause.cause for cause in row.causes]


@pytest.mark.parametrize(("origin", "target"), [(F16, E4M3), (F32, BF16), (F32, F16), (F64, F32)])
def test_the_numbers_that_are_tried(origin: FormatSpec, target: FormatSpec) -> None:
    codes = stochastic_inputs(origin, target)
    assert codes == sorted(set(codes))
    assert {code ^ origin.sign_mask for code in codes} == {*codes}
    assert {0, 1, origin.magnitude_mask, origin.infinity_magnitude} < {*codes}
    found = [
        distribute(number, target, Stochastic())
        for code in codes
        if (number := number_of(code, origin)) is not None
    ]
    far = [item for item in found if len(item.outcomes) == 1 and item.overflow_probability == 1]
    near = [item for item in found if 0 < item.overflow_probability < 1]
    distances = {item.distance for item in found}
    least = Fraction(1, 1 << (origin.fraction_bits - target.fraction_bits))
    assert bool(far) == (origin.emax > target.emax)  # bfloat16 reaches as far as float32
    assert near
    assert {0, Fraction(1, 2), least, 1 - least} < distances


def test_a_right_function_is_right() -> None:
    row = found(functions.right)
    assert (row.verdict, row.causes) == ("right", ())
    assert row.exact_count == row.input_count
    assert (row.how, row.trials_per_input, row.to) == ("enumerated", 256, "bfloat16")
    counts = (
        row.representable_count, row.subnormal_count, row.carry_count, row.overflow_count,
        row.nan_count, row.infinity_count,
    )  # fmt: skip
    assert all(counts)
    assert row.max_bias_ulp is not None
    assert -Fraction(1, 256) < Fraction(row.max_bias_ulp) < 0


def test_the_common_recipe_is_exact_but_for_nans() -> None:
    row = found(functions.recipe, "stochastic", 16)
    assert names(row) == ["nan_lost"]
    assert (row.max_bias_ulp, row.mean_bias_ulp) == ("0", "0")
    assert row.causes[0].count == 4
    told = {example.code: example.got for example in row.causes[0].examples}
    assert told["0x7fffffff"].startswith("0x8000 (-0) 65535/65536")
    assert told["0x7f800001"].startswith("0x7f80 (inf) 65535/65536")
    assert found(functions.right16, "stochastic", 16).verdict == "right"


CAUSES = (
    "never_away", "always_away", "always_up", "always_down", "rounds_to_nearest",
    "constant_probability", "carry_lost", "sign_lost", "nan_lost", "infinity_lost", "saturates",
    "gives_nan", "moves_representable", "not_a_neighbour", "flushes_subnormals", "no_value",
    "sign_asymmetry", "own_randomness",
)  # fmt: skip


@pytest.mark.parametrize("name", CAUSES)
def test_every_cause_is_named(name: str) -> None:
    row = found(getattr(functions, name), to="bf16")
    assert name in names(row)
    assert row.exact_count < row.input_count or name == "own_randomness"
    few = {"nan_lost": 4, "infinity_lost": 2, "saturates": 8, "gives_nan": 2}
    for cause in row.causes:
        if cause.cause == name and name in few:
            assert cause.count == few[name]
            assert names(row) == [name]


@pytest.mark.parametrize("bits", [17, 18])
def test_more_words_are_tried_in_blocks(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 17 bits the lowest counts nothing, and the recipe with 17 has no bias either."""
    monkeypatch.setattr(stochastic_trials, "_BLOCK", 1 << 15)
    monkeypatch.setattr(stochastic_verify, "_MOST_TRIALS", 20 << bits)

    def right(x: Tensor, words: Tensor) -> Tensor:
        return functions.right16(x, words >> (bits - 16))

    row = found(right, "stochastic", bits)
    assert (row.verdict, row.how, row.random_bits) == ("right", "enumerated", bits)
    assert (row.input_count, row.left_out_count) == (20, 382)
    assert (row.max_bias_ulp, row.trials_per_input) == ("0", 1 << bits)

    def once_too_often(x: Tensor, words: Tensor) -> Tensor:
        """The last word of all takes numbers away that the others do not."""
        last = words == (1 << bits) - 1
        return functions.right16(x, torch.where(last, words.new_tensor(0), words >> (bits - 16)))

    wrong = found(once_too_often, "stochastic", bits)
    assert wrong.max_bias_ulp is not None
    assert Fraction(wrong.max_bias_ulp) == -Fraction(1, 1 << bits)
    assert names(wrong)


def test_blocks_of_words_count_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    function = rounding_function(NamedFunction("squared", functions.squared), F32, BF16)
    codes = stochastic_inputs(F32, BF16)[::40]
    at_once = list(stochastic_trials.all_words(function, codes, 10))
    monkeypatch.setattr(stochastic_trials, "_BLOCK", 1 << 6)
    assert list(stochastic_trials.all_words(function, codes, 10)) == at_once


@pytest.mark.parametrize("name", CAUSES)
def test_a_few_inputs_show_every_cause(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there is time for with all words of 24 bits."""
    monkeypatch.setattr(stochastic_verify, "_MOST_TRIALS", 16 << 8)
    row = found(getattr(functions, name), to="bf16")
    assert (row.input_count, row.left_out_count) == (16, 386)
    assert name in names(row)


def test_a_few_inputs_are_some_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stochastic_verify, "_MOST_TRIALS", 16 << 8)
    row = found(functions.right)
    assert row.verdict == "right"
    counts = (
        row.subnormal_count, row.carry_count, row.overflow_count, row.nan_count, row.infinity_count,
        row.representable_count,
    )  # fmt: skip
    assert min(counts) >= 2


def test_of_more_bits_words_are_drawn() -> None:
    met = []

    def right(x: Tensor, words: Tensor) -> Tensor:
        met.extend([int(words.min()), int(words.max())])
        return functions.right16(x, words >> 15)

    row = found(right, "stochastic", 31, size=4096)
    assert (row.verdict, row.how, row.random_bits) == ("not rejected", "drawn", 31)
    assert (row.input_count, row.left_out_count, row.trials_per_input) == (402, 0, 4096)
    assert min(met) >= 0
    assert 0.99 < max(met) / (1 << 31) < 1
    again = found(right, "stochastic", 31, size=4096)
    assert again == row
    assert found(right, "stochastic", 31, size=4096, seed=1).p_value_min != row.p_value_min
    wrong = found(lambda x, words: functions.right16(x, words >> 16), "stochastic", 31, size=4096)
    assert wrong.causes
    random = found(functions.own_randomness, "stochastic", 25, size=1024)
    assert "own_randomness" in names(random)


def test_the_screen_says_how_many_were_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stochastic_verify, "_MOST_TRIALS", 16 << 8)
    args = ("cast-verify", "--with", f"{HERE}:right", "--rounding", "stochastic:8:a")
    out = call(*args, "--random-bits", "8", columns=80)[1]
    said = "16 of 402, of every kind some, each with all 256 words of 8 bits"
    assert said in " ".join(out.split())
    out = call(*args, "--random-bits", "25", "--size", "100", columns=80)[1]
    said = "402, each with 100 random words of 25 bits, which are too many to try all"
    assert said in " ".join(out.split())


def test_a_reversed_rounding_is_named() -> None:
    assert "reversed" in names(found(functions.reversed_, "stochastic", 16))


def test_too_few_bits_are_named_with_what_they_are() -> None:
    row = found(functions.fewer_bits)
    assert names(row) == ["biased_toward_zero"]
    assert row.causes[0].reason == "is biased toward zero, by up to 2^-4 ulp, as stochastic:4:a is"
    row = found(functions.right, "stochastic")
    assert row.causes[0].reason == "is biased toward zero, by up to 2^-8 ulp, as stochastic:8:a is"
    row = found(functions.right, "stochastic:8:b")
    assert names(row) == ["biased_toward_zero"]
    row = found(functions.half_offset)
    assert row.causes[0].reason == "is biased by up to 2^-9 ulp, as stochastic:8:b is"
    assert found(functions.half_offset, "stochastic:8:b").verdict == "right"


def test_a_bias_by_no_rule_says_how_large_it_is() -> None:
    row = found(functions.squared)
    assert "biased_toward_zero" in names(row)
    assert row.max_bias_ulp is not None
    assert Fraction(row.max_bias_ulp) < -Fraction(1, 10)


def test_subnormal_results_are_told_apart() -> None:
    row = found(functions.coarse_subnormals)
    assert row.causes[0].reason == "never rounds away from zero, of subnormal results"
    assert names(row) == ["never_away"]


def test_overflow_is_held_to_the_policy() -> None:
    assert "overflows_to_infinity" in names(found(functions.right, overflow="saturate"))
    row = found(functions.saturates, overflow="saturate")
    assert names(row) == ["infinity_lost"]  # which it keeps, and saturation takes


def test_draws_are_not_rejected_or_are() -> None:
    row = found(functions.draws, "stochastic", None, size=2000)
    assert (row.verdict, row.how, row.random_bits) == ("not rejected", "drawn", None)
    assert row.trials_per_input == 2000
    assert row.p_value_min is not None
    assert row.significance == 1e-6 / row.chance_count
    assert row.p_value_min > row.significance
    row = found(functions.draws_few_bits, "stochastic", None, size=2000)
    assert "biased_toward_zero" in names(row)
    assert row.causes[0].examples[0].p_value is not None
    row = found(functions.draws_never, "stochastic", None, size=2000)
    assert names(row)[0] == "never_away"


def test_what_is_wrong_with_the_draws_themselves() -> None:
    assert "seed_constant" in names(found(functions.seed_constant, "stochastic", None, size=2000))
    row = found(functions.one_draw_for_all, "stochastic", None, size=500)
    assert names(row)[0] == "one_draw_for_all"


def verified(function: Callable[..., Any], *args: Any, **options: Any) -> VerifyReport:
    report = fpx.verify_function(function, *args, **options)
    assert isinstance(report, VerifyReport)
    return report


def test_a_function_that_rounds_to_one_result() -> None:
    (row,) = verified(functions.nearest, size=1000)
    assert {cause.kind for cause in row.causes} <= {"nan_bits"}
    assert (row.from_, row.to, row.codes) == ("float32", "bfloat16", "sampled")
    (row,) = verified(functions.nearest, "float16", "bf16")
    assert (row.codes, row.checked_count) == ("all", 65536)
    report = verified(functions.truncates, size=1000)
    assert report.rows[0].causes[0].cause == "truncates"
    assert len(report.failures()) == 1


def test_it_is_held_to_the_rounding_that_is_named() -> None:
    (row,) = verified(functions.truncates, rounding="toward_zero", size=1000)
    assert {cause.kind for cause in row.causes} <= {"nan_bits"}
    assert row.against == "exact (toward_zero)"
    (row,) = verified(functions.nearest, rounding="toward_zero", size=1000)
    assert row.causes[0].cause == "rounds_to_nearest"
    (row,) = verified(functions.nearest, overflow="saturate", size=1000)
    assert {cause.cause for cause in row.causes} == {"overflows_to_infinity", "nan_bits"}
    assert row.against == "exact (saturate)"


def test_what_a_function_does_to_its_argument_does_not_matter() -> None:
    (plain,), (row,) = (
        verified(function, "float16", rounding="to_odd")
        for function in (functions.nearest, functions.in_place)
    )
    assert row.causes == plain.causes
    assert row.causes


def test_the_command_holds_to_rounding_and_overflow() -> None:
    args = ("cast-verify", "--size", "500", "--json", "--fail-on", "policy")
    for options in ("--rounding toward_zero", "--overflow saturate --rounding toward_zero"):
        code, out, _ = call(*args, "--with", f"{HERE}:truncates", *options.split())
        (entry,) = json.loads(out)["results"]
        saturated = "saturate" in options
        assert code == int(saturated)  # infinity stays one
        names = [cause["cause"] for cause in entry["causes"]]
        assert ("overflows_to_infinity" in names) == saturated


def test_results_may_come_in_a_wider_type_or_as_codes() -> None:
    (plain,) = verified(functions.nearest, size=1000)
    for function in (functions.nearest_in_float32, functions.codes):
        (row,) = verified(function, None, "bf16", size=1000)
        assert row.checked_count == plain.checked_count
        assert {cause.kind for cause in row.causes} <= {"nan_bits"}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("raises", "functions:raises': ValueError: not today"),
        ("flat --to bf16", "functions:flat' returns the shape [1, 1] for ["),
        ("listed", "functions:listed' returns no tensor, but 'list'"),
        ("halves --to bf16", "functions:halves' returns float16, which does not hold bfloat16"),
        ("unrounded", "functions:unrounded' returns float32: say in what format its values are, "
                      "with --to"),
        ("unrounded --to bf16", "which is no value of bfloat16: name what it rounds to with --to"),
        ("nearest --from e5m7", "torch has no dtype for e5m7, which"),
        ("nearest --from fp16 --from fp32", "--from names one format"),
        ("nearest --backend torch", "--backend is of casts"),
        ("nearest --compile", "--compile is of casts"),
        ("nearest --random-bits 8", "hold it to --rounding stochastic"),
        ("right", "hold it to --rounding stochastic"),
        ("right --rounding stochastic", "say of how many bits, with --random-bits"),
        ("right --rounding stochastic --random-bits 32", "--random-bits is 1 to 31"),
        ("draws --rounding stochastic --random-bits 8", "takes no random words"),
        ("draws --rounding stochastic --sample", "--sample has no meaning"),
        ("draws --rounding stochastic --fail-on any", "--fail-on has no meaning"),
        ("nothing", "has no 'nothing'"),
    ],
)  # fmt: skip
def test_what_cannot_be_verified_is_one_line(args: str, says: str) -> None:
    function, *rest = args.split()
    code, out, err = call("cast-verify", "--with", f"{HERE}:{function}", *rest)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", ["--rounding to_odd", "--overflow nan", "--random-bits 8"])
def test_options_of_functions_need_one(option: str) -> None:
    code, out, err = call("cast-verify", *option.split())
    assert (code, out) == (2, "")
    assert "name it with --with" in err


def test_stdout_has_the_report_alone() -> None:
    code, out, _ = call(
        "cast-verify", "--with", f"{HERE}:prints", "--from", "float16", "--to", "bf16", "--json"
    )
    assert code == 0
    assert json.loads(out)["results"][0]["backend"] == f"{HERE}:prints"


def test_the_command_tells_what_the_function_tells() -> None:
    code, out, err = call(
        "cast-verify", "--with", f"{HERE}:fewer_bits", "--rounding", "stochastic",
        "--random-bits", "8", "--examples", "1", "--json",
    )  # fmt: skip
    assert code == 1
    assert err == (
        f"fpx: float32 -> bfloat16 by {HERE}:fewer_bits: is biased toward zero, by up to 2^-4 ulp, "
        "as stochastic:4:a is\n"
    )
    document = json.loads(out)
    assert document["schema"] == "fpx.cast-verify-stochastic/1"
    report = fpx.verify_function(
        f"{HERE}:fewer_bits", rounding="stochastic", random_bits=8, examples=1
    )
    assert json.loads(json.dumps(report.to_dict()))["results"] == document["results"]
    (failure,) = document["failures"]
    assert failure["reason"] == err.partition(": ")[2].partition(": ")[2].strip()


@pytest.mark.parametrize("columns", [80, 120])
def test_the_screen(columns: int) -> None:
    args = ("cast-verify", "--with", f"{HERE}:carry_lost", "--rounding", "stochastic:8:a")
    code, out, _ = call(*args, "--random-bits", "8", "--examples", "1", columns=columns)
    assert code == 1
    assert max(map(len, out.splitlines())) <= columns
    assert "loses the carry into the exponent (" in out
    assert "expected" in out
    assert "each with all 256 words of 8 bits" in " ".join(out.split())


def test_a_function_of_ones_own_is_named() -> None:
    with pytest.raises(FpxError, match=r"functions:raises': ValueError: not today"):
        fpx.verify_function(functions.raises)
