"""The Python API: what `import fpx` offers."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
import typer.main

import fpx
from fpx.cli.app import app
from fpx.errors import InputError
from fpx.report.cast_compare import CastReport
from fpx.report.inspect import ExtremesReport, InspectReport
from tests.helpers import REPORTING, call


def test_python_api_takes_tensors_and_arrays() -> None:
    x = np.array([1.0, 1e6])
    for data in (x, torch.tensor(x, requires_grad=True), np.float64(1e6), x[::-1]):
        report = fpx.cast_compare(data, to="fp16")
        assert isinstance(report, CastReport)
        assert report.rows[0].overflow_count == 1
    brain = np.array([1.0, 3e38], dtype=ml_dtypes.bfloat16)
    assert fpx.cast_compare(brain, to=["fp16"]).rows[0].from_ == "bfloat16"
    for bad in (object(), np.array(["a"]), torch.ones(2, dtype=torch.complex64)):
        with pytest.raises(fpx.FpxError):
            fpx.cast_compare(bad)


def test_unknown_choices_are_named() -> None:
    with pytest.raises(InputError, match="ties_to_even"):
        fpx.encode("1", "bf16", rounding="up")
    with pytest.raises(InputError, match="did you mean 'fp16'"):
        fpx.encode("1", "fp17")


def test_inspect_takes_tensors_and_arrays_and_collections_of_them() -> None:
    layer = torch.nn.Linear(3, 2)
    for data in (layer, layer.state_dict(), dict(layer.state_dict())):
        report = fpx.inspect(data, stats=True)
        assert isinstance(report, InspectReport)
        assert [item.tensor for item in report] == ["weight", "bias"]
        assert repr(report) == "<InspectReport: 2 rows, 32 bytes>"
        assert [row.tensor for row in fpx.cast_compare(data, to="fp16").rows] == ["weight", "bias"]
    (one,) = fpx.inspect(np.ones((2, 3), ml_dtypes.bfloat16))
    assert (one.dtype, one.shape) == ("bfloat16", (2, 3))
    several = fpx.inspect([np.ones(3), {"a": torch.ones(2), "b": torch.ones(1)}], exclude="b")
    assert [(item.source, item.tensor) for item in several] == [
        ("tensor", "tensor"), ("tensor1", "a"),
    ]  # fmt: skip
    found = fpx.inspect({"x": torch.tensor([[1.0, -4.0]])}, tensor="x", top=1)
    assert isinstance(found, ExtremesReport)
    assert found.smallest[0].index == (0, 1)
    assert len(found.table().rows) == 3
    with pytest.raises(fpx.FpxError, match="`top` and `stats` exclude each other"):
        fpx.inspect(layer, tensor="bias", top=1, stats=True)
    with pytest.raises(fpx.FpxError, match="no such file"):
        fpx.inspect("nofile")


def _without_versions(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "environment"}


@pytest.mark.parametrize(
    ("command", "call_it"),
    [
        ("decode 3.14 --dtype bf16 --rounding toward_zero --overflow saturate --as value",
         lambda: fpx.decode("3.14", "bf16", rounding="toward_zero", overflow="saturate",
                            read_as="value")),
        ("decode 0.1 --dtype all", lambda: fpx.survey("0.1")),
        ("decode 0.1 --dtype fp16 --dtype bf16 --rounding all",
         lambda: fpx.survey("0.1", ["fp16", "bf16"], rounding="all")),
        ("decode 257.00001 --dtype bf16 --libraries", lambda: fpx.libraries("257.00001", "bf16")),
        ("decode 6,-4,3 --dtype mxfp4 --as value".replace(",", " "),
         lambda: fpx.decode_block(["6", -4, "3"], read_as="value")),
        ("decode 7 1e-3 -0 --dtype mxfp4,nvfp4 --scale-rule all",
         lambda: fpx.decode_block("7, 1e-3 -0", ["mxfp4", "nvfp4"], scale_rule="all")),
        ("decode 7 1 --dtype nvfp4 --like torchao --global-scale 0.01",
         lambda: fpx.decode_block([7, 1], "nvfp4", like="torchao", global_scale="0.01")),
        ("decode --dtype nvfp4 --codes e7 --scale-code 0x7f --packing high-first",
         lambda: fpx.decode_block(dtype="nvfp4", codes=b"\xe7", scale_code=0x7F,
                                  packing="high-first")),
        ("range nvfp4 bf16", lambda: fpx.ranges(["nvfp4", "bf16"])),
        ("table mxfp4 --scale-code 0x80", lambda: fpx.element_table("mxfp4", scale_code=0x80)),
        ("table int8", lambda: fpx.element_table("int8")),
        ("decode 0.1 --dtype fp16 --rounding stochastic:4:b --overflow saturate --as value",
         lambda: fpx.distribution("0.1", "fp16", rounding="stochastic:4:b", overflow="saturate",
                                  read_as="value")),
        ("calc 0.05-1e-5 --dtype bf16 --rounding stochastic",
         lambda: fpx.calc("0.05-1e-5", "bf16", rounding="stochastic")),
        ("bits {file} --dtype fp4 --packing split-halves --block 2",
         lambda: fpx.bits(b"\x21\x43\x65", "fp4", packing="split-halves", block=2)),
        ("encode 1e9 --dtype fp16 --overflow nan",
         lambda: fpx.encode("1e9", "fp16", overflow="nan")),
        ("range", lambda: fpx.ranges()),
        ("range --dtype fp16", lambda: fpx.format_info("fp16")),
        ("range --compare fp16 bf16", lambda: fpx.compare_ranges("fp16", "bf16")),
        ("formats", lambda: fpx.formats()),
        ("formats e5m7 bf16", lambda: fpx.formats(["e5m7", "bf16"])),
        ("table fp4", lambda: fpx.table("fp4")),
        ("table bf16 --around -1 --count 3", lambda: fpx.table("bf16", around=-1, count=3)),
        ("distance 1 1.001 --dtype fp16 --dtype bf16",
         lambda: fpx.distance("1", "1.001", ["fp16", "bf16"])),
        ("distance 16 18 --dtype fp16 --as code",
         lambda: fpx.distance("16", "18", "fp16", read_as="code")),
        ("bits {file} --dtype fp4 --offset 1 --count 3 --packing high-first",
         lambda: fpx.bits(b"\x21\x43\x65", "fp4", offset=1, count=3, packing="high-first")),
        ("bits {file} --dtype bf16 --big-endian",
         lambda: fpx.bits(b"\x21\x43\x65", "bf16", big_endian=True)),
        ("cast-compare normal --size 100 --seed 3 --from bf16 --to fp16 --fail-if count>0",
         lambda: fpx.cast_compare("normal", "fp16", size=100, seed=3, from_="bf16",
                                  fail_if="count>0")),
        ("cast-verify --from bf16 --to e4m3fn --examples 1 --fail-on any",
         lambda: fpx.cast_verify("bf16", "e4m3fn", examples=1, fail_on="any")),
        ("op-verify silu --dtype bf16 --size 9 --seed 2 --examples 2 --layout strided --fail-if "
         "max_steps>9",
         lambda: fpx.op_verify("silu", "bf16", size=9, seed=2, examples=2, layout="strided",
                               fail_if="max_steps>9")),
        ("op-verify", lambda: fpx.op_verify()),
        ("diff old.npz new.npz --tolerance-ulp 2 --allow-renamed --strip-prefix m. --exclude z",
         lambda: fpx.diff("old.npz", "new.npz", tolerance_ulp=2, allow_renamed=True,
                          strip_prefix="m.", exclude="z")),
        ("step-compare old.npz --lr 1e-3 --to bf16 --still 0.2 --fail-if stands_still --exclude z "
         "--rounding stochastic:8",
         lambda: fpx.step_compare("old.npz", lr="1e-3", to="bf16", still=0.2,
                                  rounding="stochastic:8",
                                  fail_if="stands_still", exclude="z")),
        ("step-compare old.npz renamed.npz --to fp16",
         lambda: fpx.step_compare(["old.npz", "renamed.npz"], to=["fp16"])),
        ("step-compare state.pt --weights-to bf16 --state-to e4m3fn --scale tensor "
         "--optimizer adam --include w --scale-format e8m0",
         lambda: fpx.step_compare("state.pt", weights_to="bf16", state_to="e4m3fn",
                                  scale="tensor", scale_format="e8m0", optimizer="adam",
                                  include="w")),
        ("step-compare state.pt --state-to mxfp4 --scale-rule floor --model old.npz "
         "--optimizer adamw",
         lambda: fpx.step_compare("state.pt", state_to="mxfp4", scale_rule="floor",
                                  model="old.npz", optimizer="adamw")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_function_gives_what_its_command_shows(
    command: str,
    call_it: Callable[[], fpx.Report],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    old: dict[str, Any] = {"m.w": np.ones(3, np.float32), "v": np.zeros(2), "z": np.ones(1)}
    np.savez("old.npz", **old)
    np.savez("new.npz", w=np.ones(3, np.float32) + 5e-7, u=np.zeros(2))
    renamed: dict[str, Any] = {"m.w": old["m.w"] * 1.01, "z": np.ones(2)}
    np.savez("renamed.npz", **renamed)
    group = {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1, "params": ["w"]}
    moments = {"step": 3, "exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3)}
    state = {"state": {"w": moments}, "param_groups": [group]}
    torch.save({"model": {"w": torch.ones(3)}, "optimizer": state}, "state.pt")
    file = tmp_path / "bytes"
    file.write_bytes(b"\x21\x43\x65")
    code, out, _ = call(*command.format(file=file).split(), "--json")
    assert code in (0, 1)
    document = _without_versions(json.loads(out))
    report = _without_versions(json.loads(json.dumps(call_it().to_dict(), allow_nan=False)))
    assert report == document


# the options that only say how to print, or where options come from
_SHOWN = {"config", "no_config", "save", "github", "json", "jsonl", "csv", "markdown"}
_SHOWN |= {"every", "output", "as_list", "dot", "whole"}
# how somebody's script is started, which in Python is around what is watched
_SHOWN |= {"script", "arguments", "module", "stop"}
# option -> where else Python has it
_ELSEWHERE = {
    "decode": {"libraries": "libraries"}
    | dict.fromkeys(
        ("scale_rule", "like", "global_scale", "codes", "scale_code", "packing"), "decode_block"
    ),
    "range": {"compare": "compare_ranges"},
    "table": {"scale_code": "element_table"},
    "cast-compare": dict.fromkeys(("top", "sort", "every", "histogram"), "worst_first")
    | {"verbose": "measured_by"},
    "cast-verify": dict.fromkeys(
        ("with_", "rounding", "overflow", "random_bits"), "verify_function"
    ),
    "diff": dict.fromkeys(("top", "every"), "worst_first"),
    "step-compare": dict.fromkeys(("top", "every"), "worst_first"),
}
# the names of arguments that differ, where Python takes one and the shell several
_ONE = {"values": "value", "sources": "source", "files": "source", "formats": "dtype"}


@pytest.mark.parametrize("command", REPORTING)
def test_every_option_is_a_parameter(command: str) -> None:
    group = typer.main.get_group(app)
    found = group.get_command(typer.Context(group), command)
    assert found is not None
    name = "ranges" if command == "range" else command.replace("-", "_")
    parameters = set(inspect.signature(getattr(fpx, name)).parameters)
    elsewhere = _ELSEWHERE.get(command, {})
    for item in found.params:
        assert item.name is not None
        if item.name in _SHOWN | {"help"}:
            continue
        if item.name in elsewhere:
            there = elsewhere[item.name]
            assert there in fpx.__all__ or hasattr(CastReport, there)
        else:
            assert _ONE.get(item.name, item.name) in parameters, item.name
    assert parameters


@pytest.mark.parametrize(
    ("value", "text", "exact"),
    [
        (np.int64(-5), "-5", "-5"), (np.uint8(255), "255", "255"), (np.array(2.5), "2.5", "2.5"),
        (np.float16(65504), "65504.0", "65504"), (np.float32(-0.0), "-0.0", "-0"),
        (np.float32(0.1), "0.10000000149011612", "0.100000001490116119384765625"),
        (ml_dtypes.bfloat16(3.14), "3.140625", "3.140625"), (ml_dtypes.int4(-3), "-3", "-3"),
        (np.longdouble(2) ** -1000, None, None), (torch.tensor(1.5), "1.5", "1.5"),
        (torch.tensor(448.0).to(torch.float8_e4m3fn), "448.0", "448"),
        (np.str_("1/4"), "1/4", "0.25"),
        (np.float32("nan"), "nan", "nan"), (torch.tensor(float("-inf")), "-inf", "-inf"),
    ],
    ids=repr,
)  # fmt: skip
def test_scalars_of_libraries_are_read_exactly(
    value: object, text: str | None, exact: str | None
) -> None:
    report = fpx.decode(value, "float64")
    assert exact is None or report.value_text == exact
    assert text is None or report.input == text
    assert report.rounding_error in ("0", None)


@pytest.mark.parametrize(
    "value", [np.array([1.0, 2.0]), torch.ones(2), np.bool_(True), torch.tensor(1j), [1], None]
)
def test_what_is_not_one_number_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="is not a number: pass a string, int or float"):
        fpx.decode(value, "float64")


@pytest.mark.parametrize(
    ("call_", "says"),
    [
        (lambda: fpx.decode("1", "all"), "'all' is many formats, and one is asked for"),
        (lambda: fpx.encode("1", "ALL"), "'ALL' is many formats"),
        (lambda: fpx.decode("1", ["bf16"]), "is no name of a format: pass text such as"),  # type: ignore[arg-type]
        (lambda: fpx.decode("1", torch.bfloat16), "'torch.bfloat16' is no name of a format"),  # type: ignore[arg-type]
        (lambda: fpx.calc("1", []), "nothing to compute in: give a format"),
        (lambda: fpx.survey("1", []), "nothing to compare: give a format"),
        (lambda: fpx.survey("1", rounding=[]), "nothing to compare: give a format"),
    ],
)
def test_formats_that_are_none_or_many(call_: Callable[[], object], says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        call_()
