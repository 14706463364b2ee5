"""Each option reaches what it is for: with it, the output is another."""

from __future__ import annotations

import pytest
import typer.main

from fpx.cli.app import app
from fpx.cli.options import complete_format, complete_target
from fpx.render.writers import OPTIONS
from tests.helpers import call

GROUP = typer.main.get_group(app)

# (arguments without the option, the option with its value)
CHANGES: dict[str, list[tuple[list[str], str]]] = {
    "decode": [
        (["3.14"], "--dtype fp16"),
        (["1.001", "--dtype", "bf16"], "--rounding toward_positive"),
        (["1.001", "--dtype", "bf16"], "--rounding all"),
        (["70000", "--dtype", "fp16"], "--overflow saturate"),
        (["16", "--dtype", "fp16"], "--as code"),
        (["2049.0000000000001", "--dtype", "fp16"], "--libraries"),
        (["7", "--dtype", "mxfp4"], "--scale-rule rceil"),
        (["7", "--dtype", "mxfp4"], "--scale-rule all"),
        (["3.5", "1.75", "--dtype", "mxfp4"], "--like gguf"),
        (["7", "--dtype", "nvfp4"], "--global-scale 0.01"),
        (["--dtype", "mxfp4", "--scale-code", "1", "--codes", "ff"], "--codes 7f"),
        (["--dtype", "mxfp4", "--codes", "7f", "--scale-code", "0x7f"], "--scale-code 0x7e"),
        (["--dtype", "mxfp4", "--codes", "7f", "--scale-code", "0x7f"], "--packing high-first"),
        (["7", "1", "--dtype", "mxfp4"], "--packing high-first"),
    ],
    "encode": [
        (["3.14", "--dtype", "bf16"], "--dtype fp16"),
        (["1.001", "--dtype", "bf16"], "--rounding toward_positive"),
        (["70000", "--dtype", "fp16"], "--overflow nan"),
        (["16", "--dtype", "fp16"], "--as code"),
        (["3.14", "--dtype", "bf16"], "--output bin"),
    ],
    "range": [([], "--dtype fp16"), (["fp16"], "--dtype mxfp4"), ([], "--compare fp16 bf16")],
    "formats": [],
    "table": [
        (["fp4"], "--around 1"),
        (["fp4", "--around", "1"], "--count 3"),
        (["fp4"], "--list"),
        (["mxfp4"], "--scale-code 0x80"),
    ],
    "distance": [(["1", "2"], "--dtype fp16"), (["16", "18"], "--as code")],
    "bits": [
        (["-", "--dtype", "bf16"], "--dtype fp16"),
        (["-", "--dtype", "bf16"], "--offset 2"),
        (["-", "--dtype", "bf16"], "--count 1"),
        (["-", "--dtype", "bf16"], "--big-endian"),
        (["-", "--dtype", "fp4"], "--packing high-first"),
        (["-", "--dtype", "fp4", "--packing", "split-halves", "--block", "8"], "--block 4"),
    ],
}
PLAIN: dict[str, list[str]] = {
    "decode": ["3.14"], "encode": ["1", "--dtype", "bf16"], "range": [], "formats": ["bf16"],
    "table": ["fp4"], "distance": ["1", "2"], "bits": ["-", "--dtype", "bf16"],
}  # fmt: skip
FORMS = [f"--{form.name}" for form in OPTIONS]
CASES = [
    *((command, *change) for command, changes in CHANGES.items() for change in changes),
    *((command, args, form) for command, args in PLAIN.items() for form in FORMS),
]


@pytest.mark.parametrize(("command", "args", "option"), CASES, ids=str)
def test_an_option_changes_what_is_shown(command: str, args: list[str], option: str) -> None:
    name, *value = option.split()
    with_it = list(args)
    if name in with_it:  # an option that the command must have gets another value
        with_it[with_it.index(name) + 1] = value[0]
    else:
        with_it += [name, *value]
    outputs = []
    for each in (args, with_it):
        code, out, err = call(command, *each, stdin=b"I@\x80?")
        assert (code, err) == (0, "")
        assert out
        outputs.append(out)
    assert outputs[0] != outputs[1]


@pytest.mark.parametrize("command", CHANGES)
def test_every_option_is_tried(command: str) -> None:
    found = GROUP.get_command(typer.Context(GROUP), command)
    assert found is not None
    options = {name for item in found.params for name in item.opts if name.startswith("--")}
    tried = {option.split()[0] for name, _, option in CASES if name == command}
    elsewhere = {"--help", "--save", "--github", "--config", "--no-config"}  # which have own tests
    assert options - elsewhere == tried


@pytest.mark.parametrize(("typed", "meant"), [("sqnr", "sqnr_db"), ("underflow", "underflow_rate")])
def test_of_many_names_the_one_that_is_meant_is_told(typed: str, meant: str) -> None:
    code, _, err = call("cast-compare", "normal", "--sort", typed)
    assert code == 2
    assert err.startswith(f"fpx: --sort: '{typed}' is not one of those that --help lists; did you ")
    assert f"'{meant}'?" in err
    assert "those that --help lists (see" in call("cast-compare", "normal", "--sort", "zzz")[2]
    assert "ml_dtypes" in call("cast-compare", "normal", "--backend", "zzz")[2]


@pytest.mark.parametrize(
    ("typed", "found"),
    [("mxfp6", ["mxfp6_e3m2", "mxfp6_e2m3"]), ("nv", ["nvfp4"]), ("bf", ["bfloat16"]),
     ("hal", ["half"])],
)  # fmt: skip
def test_block_formats_are_completed(typed: str, found: list[str]) -> None:
    assert set(found) <= set(complete_target(typed))
    assert not [name for name in complete_target(typed) if not name.startswith(typed[:2])]


def test_block_formats_are_not_completed_where_they_cannot_be() -> None:
    assert "mxfp4" not in complete_format("mx")
