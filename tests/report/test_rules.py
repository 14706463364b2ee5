"""Scale rules side by side, and what answers say of scaled targets."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import fpx
from fpx.core.targets import find_target
from fpx.report.rules import without_rule
from tests.helpers import call
from tests.writers import nvfp4

HALF_CLIPPED = torch.full((4, 32), 1.99)  # floor keeps 1.5 of it, even and the others all but 0.01
ODD = torch.tensor([5.0] + [1.0] * 31)  # a scale of 1 has 4 and 6 beside 5, of 2 half of the ones


def rules_of(source: Any, **kinds: Any) -> Any:
    return fpx.cast_compare(source, **kinds).scale_rules


def test_the_best_rule_and_what_others_cost() -> None:
    (found,) = rules_of(HALF_CLIPPED, to="mxfp4", scale_rule="all")
    assert (found.source, found.target, found.tensors) == ("tensor", "mxfp4", 1)
    assert [row.rule for row in found.rows] == ["floor", "even", "ceil", "rceil"]
    assert [row.to for row in found.rows][:2] == ["mxfp4", "mxfp4:rule=even"]
    assert found.best.rule == "even"
    floor, even = found.rows[0], found.rows[1]
    assert floor.clipped_block_rate == 1
    assert even.clipped_block_rate == 0
    lost = even.median_sqnr_db - floor.median_sqnr_db
    rest = f"ceil the same, rceil the same, floor costs {lost:.2f} dB"
    assert found.text == f"take even: {even.sqnr_db:.2f} dB; {rest}."
    assert (floor.unfit, even.unfit, floor.best_of, even.best_of) == (1, 0, 0, 1)
    assert floor.sqnr_db == pytest.approx(20 * math.log10(1.99 / 0.49), abs=1e-5)


def test_many_tensors_are_told_by_their_median() -> None:
    tensors = {"a": HALF_CLIPPED, "b": HALF_CLIPPED * 2, "c": torch.ones(64)}
    (found,) = rules_of(tensors, to="mxfp4", scale_rule=["floor", "rceil"])
    floor, rceil = found.rows
    assert (floor.best_of, rceil.best_of) == (1, 3)
    assert floor.median_sqnr_db == pytest.approx(floor.worst_sqnr_db)
    assert rceil.unfit == 0
    assert found.text.startswith(
        f"take rceil: median {rceil.median_sqnr_db:.2f} dB, best for 3 of 3"
    )


def test_several_sources_are_told_of_together_and_each() -> None:
    found = fpx.cast_compare(
        ["normal", "activations"], to="mxfp4,nvfp4", scale_rule="all", size=20_000
    )
    assert [(each.source, each.target, each.tensors) for each in found.scale_rules] == [
        ("(total)", "mxfp4", 2), ("(total)", "nvfp4", 2),
        ("normal", "mxfp4", 1), ("normal", "nvfp4", 1),
        ("activations", "mxfp4", 1), ("activations", "nvfp4", 1),
    ]  # fmt: skip
    together, _, normal, _, activations, _ = found.scale_rules
    for row, *own in zip(together.rows, normal.rows, activations.rows, strict=True):
        assert row.worst_sqnr_db == min(each.sqnr_db for each in own)
        assert row.best_of == sum(each.best_of for each in own)


def test_several_distributions_show_the_best_rule_alone() -> None:
    lines = call(
        "cast-compare", "normal", "activations", "--size", 20_000, "--to", "mxfp4",
        "--scale-rule", "all",
    )[1].splitlines()  # fmt: skip
    (take,) = [line for line in lines if line.startswith("mxfp4: take ")]
    assert take.startswith("mxfp4: take even: median ")
    assert "best for 2 of 2 tensors; " in take
    assert [line for line in lines if line.startswith("mxfp4:rule=")][-1] == "mxfp4:rule=even"
    assert not [line for line in lines if line.startswith(("mxfp4: yes", "mxfp4:rule=ceil"))]


def test_only_what_was_asked_by_several_rules() -> None:
    assert rules_of(HALF_CLIPPED, to=["mxfp4", "nvfp4", "fp16"]) == ()
    names = [each.target for each in rules_of(ODD, to=["mxfp4", "nvfp4", "nf4"], scale_rule="all")]
    assert names == ["mxfp4", "nvfp4", "nf4"]
    (each,) = rules_of(ODD, to="e4m3fn", scale="channel", scale_rule=["amax", "pow2"])
    assert (each.target, [row.rule for row in each.rows]) == (
        "float8_e4m3fn:channel", ["amax", "rceil"],
    )  # fmt: skip


def test_names_without_rules() -> None:
    for name, plain in (
        ("mxfp4", "mxfp4"),
        ("mxfp4:rule=even", "mxfp4"),
        ("mxfp4:block=16,rule=even,ties=away", "mxfp4:block=16,ties=away"),
    ):
        assert without_rule(find_target(name)) == plain


def test_json_has_rules_and_choices() -> None:
    document = fpx.cast_compare(ODD, to="nvfp4", scale_rule="all").to_dict()
    (rules,) = document["scale_rules"]
    assert rules["best"] == "4over6"
    assert [row["rule"] for row in rules["rules"]] == ["amax", "4over6"]
    first, second = document["scaled_targets"]
    assert (first["name"], first["bits_per_element"]) == ("nvfp4", 4.5)
    assert first["encoding"]["global scale"] == "amax / (448 x largest element)"
    assert second["encoding"]["global scale"] == "amax / (256 x largest element)"
    assert fpx.cast_compare(ODD, to="fp16").to_dict()["scaled_targets"] == []


# -- answers ---------------------------------------------------------------------------------------


def answer(x: torch.Tensor, **kinds: Any) -> Any:
    (found,) = fpx.cast_compare(x, **kinds).answers
    return found


def test_answers_on_scaled_targets() -> None:
    fits = answer(ODD, to="mxfp4")
    assert fits.text.startswith("yes. It fits; ")
    clipped = answer(HALF_CLIPPED, to="mxfp4")
    assert clipped.text == (
        "no. It loses its largest values: 128 of 128 values are clipped, which is all of its "
        "error; its SQNR is 12.17 dB. Keep it wider."
    )
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    x[0, 0] = 1e6
    lost = answer(x, to="e4m3fn", scale="tensor")
    assert lost.text.startswith("no. It loses small values: ")
    assert "of the non-zero) underflow" in lost.text
    assert "scale it" not in lost.text  # it has scales


def test_labels_say_what_shares_a_scale() -> None:
    assert answer(ODD, to="e4m3fn", scale="channel").label == (
        "float8_e4m3fn with a float32 scale per channel"
    )
    assert answer(ODD, to="mxfp4").label == "mxfp4"
    assert answer(ODD, to="mxfp4:rule=even").label == "mxfp4:rule=even"
    assert answer(ODD, to="e4m3fn:channel,rule=rceil").label == "float8_e4m3fn:channel,rule=rceil"
    assert answer(ODD, to="fp16").label == "float16"


def test_recommendations_count_the_bits_of_scales() -> None:
    report = fpx.cast_compare(torch.ones(64), to=["nvfp4", "mxfp4", "e4m3fn:channel", "fp16"])
    assert [each.to for each in report.recommendations] == ["mxfp4"]


def test_few_bits_without_a_scale_are_told_of_scales() -> None:
    x = torch.tensor([1e-6, 1.0]).repeat(50)
    assert answer(x, to="e4m3fn").text.endswith("Keep it wider, or give it a scale.")
    assert answer(x.sign() * 1e-8, to="e4m3fn").text.endswith("or scale it by 2^35.")
    wide = torch.tensor([1e-8, 1.0, 1e5]).repeat(50)
    assert answer(wide, to="fp16").text.endswith("Keep it wider.")


# -- the command -----------------------------------------------------------------------------------


def test_options_make_targets() -> None:
    def targets(*args: str) -> list[str]:
        code, out, err = call("cast-compare", "normal", "--size", "256", *args, "--csv")
        assert code == 0, err
        return [next(csv.reader([line]))[3] for line in out.splitlines()[1:]]

    assert targets("--to", "e4m3fn", "--scale", "tensor") == ["float8_e4m3fn:tensor"]
    both = targets("--to", "mxfp4,e4m3fn", "--scale", "channel", "--scale-format", "bf16")
    assert both == ["mxfp4", "float8_e4m3fn:channel,scale=bfloat16"]
    assert targets("--to", "nvfp4", "--like", "torchao") == ["nvfp4:like=torchao"]
    rules = ("--scale-rule", "even", "--scale-rule", "pow2")
    assert targets("--to", "mxfp4", *rules) == ["mxfp4:rule=even", "mxfp4:rule=rceil"]


def test_what_the_command_refuses() -> None:
    for args, said in (
        (["--to", "e4m3fn", "--scale-rule", "even"], "none of the targets has a scale"),
        (["--to", "mxfp4", "--scale-format", "e8m0"], "say what shares one"),
        (["--to", "e4m3fn", "--scale", "blocks"], "block:N"),
        (["--to", "mxfp4", "--like", "torch"], "no encoder is called 'torch'"),
        (["--to", "mxfp4", "--scale-rule", "best"], "no scale rule is called 'best'"),
        (["--to", "mxfp4:rle=even"], "no option is called 'rle'; did you mean 'rule'?"),
        (["--to", "nf4", "--like", "gguf"], "gguf writes no nf4"),
        (["--to", "mxfp4", "--backend", "torch"], "torch casts to no mxfp4"),
        (["--to", "e8m0", "--scale", "tensor"], "no sign or no zero"),
    ):
        code, out, err = call("cast-compare", "normal", "--size", "64", *args)
        assert code in (2, 3), args
        assert not out
        assert said in err, err
        assert err.count("\n") == 1


def test_the_screen_shows_the_best_rule_alone() -> None:
    args = ("cast-compare", "normal", "--size", "6400", "--to", "mxfp4", "--scale-rule", "all")
    _, out, _ = call(*args, columns=100)
    assert "mxfp4 by scale rule" in out
    assert "mxfp4:rule=even: yes." in out or "mxfp4:rule=rceil: yes." in out
    assert "mxfp4:rule=ceil:" not in out
    assert "ties to even" in out
    assert out.count("clipped blocks") == 1
    _, page, _ = call(*args, "--histogram", columns=100)
    assert "float32" in page.splitlines()[-2]


def test_quantised_weights_are_cast_as_what_they_mean(tmp_path: Path) -> None:
    folder = nvfp4(tmp_path / "model", spoiled=False)
    code, out, _ = call("cast-compare", str(folder), "--to", "bf16", "--json")
    assert code == 0
    names = {row["tensor"]: row["from"] for row in json.loads(out)["results"]}
    assert names["layer.0.up.weight"] == "float64"
    assert not any("packed" in name for name in names)
    report = fpx.cast_compare(folder, to="bf16", stored=True, integers=True)
    assert "layer.0.up.weight_packed" in {row.tensor for row in report.rows}
    assert call("cast-compare", str(folder), "--stored", "--integers", "--csv")[1].count("_packed")
    code, _, err = call("cast-compare", str(folder), "--as", "nothing=nvfp4")
    assert (code, err.count("\n")) == (2, 1)


def test_the_median_decides_before_the_total() -> None:
    """One huge tensor that floor suits decides the total, and two that it clips the median."""
    huge = torch.tensor([6.0] + [1.5] * 31).repeat(64, 1) * 2.0**20
    (found,) = rules_of(
        {"a": HALF_CLIPPED, "b": HALF_CLIPPED, "huge": huge},
        to="mxfp4",
        scale_rule=["floor", "ceil"],
    )
    floor, ceil = found.rows
    assert floor.sqnr_db > ceil.sqnr_db
    assert found.best is ceil


def test_rules_that_lose_nothing_are_the_same() -> None:
    (found,) = rules_of(torch.ones(64), to="mxfp4", scale_rule="all")
    assert found.text == "take floor: exact; even the same, ceil the same, rceil the same."


def test_what_normal_numbers_lose_is_named_in_answers() -> None:
    x = torch.tensor([4.0] + [2.5, 0.75, 1.25, 0.25] * 7 + [5.0] * 3).repeat(8, 1)
    (answer,) = fpx.cast_compare(x, to="mxfp4", tolerate_loss=0, tolerate_underflow=1).answers
    assert "under what the format gives of normal numbers" in answer.text


def test_bits_of_scales_decide_between_equal_elements() -> None:
    """MXFP4 has 4.25 bits per element and NVFP4 4.5, which is the better one."""
    x = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    report = fpx.cast_compare(x, to=["nvfp4", "mxfp4:rule=even"])
    nvfp4, mxfp4 = report.rows
    assert (nvfp4.fits, mxfp4.fits) == (True, True)
    assert nvfp4.sqnr_db > mxfp4.sqnr_db
    assert report.recommendations[0].to == "mxfp4:rule=even"


def test_a_clipping_that_is_all_of_the_error_costs_no_infinite_decibels() -> None:
    (answer,) = fpx.cast_compare(HALF_CLIPPED, to="mxfp4:rule=floor").answers
    assert "are clipped, which" in answer.text
    assert "inf dB" not in answer.text
