"""Options out of fpx.toml and pyproject.toml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fpx.cli import config
from fpx.cli.app import COMMANDS
from fpx.errors import InputError
from tests.helpers import PATIENCE, call, results

FPX, PROJECT = "fpx.toml", "pyproject.toml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a test: a/b in a repository."""
    (tmp_path / ".git").mkdir()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    return inner


def formats(*args: str) -> list[str]:
    """The formats that `fpx decode` takes, and nothing else on stderr than the note."""
    code, out, err = call("decode", "1", *args, "--json")
    assert code == 0, err
    return [entry["format"] for entry in json.loads(out)["results"]]


USUAL = ["float32", "float16", "bfloat16"]


def usual() -> list[str]:
    """Those without any file."""
    return formats("--no-config")


def test_a_file_gives_defaults_and_is_named(folder: Path) -> None:
    (folder / FPX).write_text('[decode]\ndtype = ["e4m3fn", "fp4"]\n')
    code, out, err = call("decode", "1", "--json")
    assert code == 0
    assert [entry["format"] for entry in json.loads(out)["results"]] == [
        "float8_e4m3fn", "float4_e2m1fn",
    ]  # fmt: skip
    assert err == "fpx: note: options from fpx.toml: dtype\n"


def test_the_command_line_comes_first(folder: Path) -> None:
    (folder / FPX).write_text('[decode]\ndtype = ["fp4"]\nrounding = "toward_positive"\n')
    assert formats("--dtype", "bf16") == ["bfloat16"]
    both = call("decode", "1.01", "--dtype", "fp16", "--json")[1]
    assert json.loads(both)["results"][0]["rounding"] == "toward_positive"


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        ({}, None),
        ({"a/b/fpx.toml": "fp4"}, "fp4"),
        ({"a/fpx.toml": "fp4"}, "fp4"),
        ({"fpx.toml": "fp4"}, "fp4"),
        ({"../fpx.toml": "fp4"}, None),  # outside of the repository
        ({"a/b/pyproject.toml": "fp4"}, "fp4"),
        ({"pyproject.toml": "fp4"}, "fp4"),
        ({"a/b/fpx.toml": "fp4", "a/b/pyproject.toml": "e5m2"}, "fp4"),
        ({"a/fpx.toml": "fp4", "a/b/pyproject.toml": "e5m2"}, "e5m2"),
        ({"a/fpx.toml": "fp4", "a/b/fpx.toml": "e5m2"}, "e5m2"),
    ],
)
def test_the_nearest_file_counts(folder: Path, files: dict[str, str], taken: str | None) -> None:
    root = folder.parent.parent
    for name, dtype in files.items():
        prefix = "tool.fpx." if name.endswith(PROJECT) else ""
        (root / name).write_text(f'[{prefix}decode]\ndtype = ["{dtype}"]\n')
    try:
        assert formats() == (formats("--no-config", "--dtype", taken) if taken else usual())
    finally:
        (root.parent / FPX).unlink(missing_ok=True)


def test_the_search_ends_at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent.parent / FPX).write_text('[decode]\ndtype = ["fp4"]\n')
    assert formats() == ["float4_e2m1fn"]
    monkeypatch.setenv("HOME", str(folder.parent))
    assert formats() == usual()
    monkeypatch.setenv("HOME", str(folder.parent.parent))
    assert formats() == ["float4_e2m1fn"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[project]\nname = 'fpx'\n",
        "[tool.ruff]\n",
        "[tool]\nother = 1\n",
        "not TOML at all, and about something else",
    ],
)
def test_projects_of_others_are_passed_over(folder: Path, text: str) -> None:
    (folder.parent / FPX).write_text('[decode]\ndtype = ["fp4"]\n')
    (folder / PROJECT).write_text(text)
    assert formats() == ["float4_e2m1fn"]


@pytest.mark.parametrize(
    "text",
    [
        "[tool.fpx.decode]\ndtype = ['fp4']",
        "[tool.fpx]\ndecode = {dtype = 'fp4'}",
        "[tool]\nfpx = {decode = {dtype = 'fp4'}}",
        "tool = {fpx = {decode = {dtype = 'fp4'}}}",
        "tool.fpx.decode.dtype = 'fp4'",
        "[ tool . 'fpx' . decode ]\ndtype = 'fp4'",
        '["tool".fpx.decode]\ndtype = "fp4"',
    ],
)
def test_every_way_of_writing_the_table(folder: Path, text: str) -> None:
    (folder / PROJECT).write_text(text)
    assert formats() == ["float4_e2m1fn"]
    (folder / PROJECT).rename(folder / "other.toml")
    assert formats("--config", "other.toml") == ["float4_e2m1fn"]


def test_no_config_and_config(folder: Path) -> None:
    (folder / FPX).write_text('[decode]\ndtype = ["fp4"]\n')
    (folder / "mine").write_text('[decode]\ndtype = ["e5m2"]\n')
    (folder / PROJECT).write_text("[project]\n")
    assert formats("--no-config") == USUAL or len(formats("--no-config")) > 1
    assert formats("--config", "mine") == ["float8_e5m2"]
    clash = "fpx: --config and --no-config exclude each other: choose one\n"
    for args in (["--config", "mine", "--no-config"], ["--no-config", "--config", "mine"]):
        code, out, err = call("decode", "1", *args)
        assert (code, out) == (2, "")
        assert err.endswith(clash)
    assert call("decode", "1", "--config", "nofile")[2] == (
        "fpx: 'nofile' is not there: --config names a file\n"
    )
    assert call("decode", "1", "--config", ".")[2] == "fpx: '.' is no file with options\n"
    assert call("decode", "1", "--config", PROJECT)[2] == (
        "fpx: 'pyproject.toml' has no [tool.fpx]\n"
    )
    # a bad file nearby does not matter where another is named, or none is wanted
    (folder / FPX).write_text("[")
    assert formats("--config", "mine") == ["float8_e5m2"]
    assert call("decode", "1", "--no-config")[0] == 0
    assert call("decode", "--help")[0] == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[decode", "'fpx.toml' is no TOML: Expected ']' at the end of a table declaration"),
        ("x = " + "[" * 5000, "'fpx.toml' is no TOML: it is nested too deeply"),
        ("x = " + "9" * 5000, "'fpx.toml' is no TOML: Exceeds the limit"),
        ("\udcff", "'fpx.toml' is no TOML: 'utf-8' codec can't decode"),
        ("#" * (config.MAX_BYTES + 1), "'fpx.toml' is larger than 1,048,576 bytes"),
        ("[decod]", "fpx.toml: 'decod' is no command of fpx; did you mean 'decode'?"),
        ("decode = 1", "fpx.toml: 'decode' is a table of options, not an integer"),
        ("[[decode]]", "fpx.toml: 'decode' is a table of options, not an array"),
        ("[decode]\ndtyp = 'fp4'", "'decode.dtyp' is no option of fpx decode; did you mean "
         "'dtype'?"),
        ("[decode]\nzzz = 1", "fpx.toml: 'decode.zzz' is no option of fpx decode: use one of "),
        ("[decode]\nvalues = ['1']", "'decode.values' is no option of fpx decode"),
        ("[decode]\ndtype = 4", "'decode.dtype' must be a string, or an array of those, not an "
         "integer"),
        ("[decode]\ndtype = ['fp4', true]", "'decode.dtype' must be a string, or an array of "
         "those, not an array with true or false in it"),
        ("[decode]\nlibraries = 'yes'", "'decode.libraries' must be true or false, not a string"),
        ("[decode]\nlibraries = 1", "'decode.libraries' must be true or false, not an integer"),
        ("[decode]\nas = 'bits'", "'decode.as' is wrong: "),
        ("[decode]\nas = 2024-01-01", "'decode.as' must be a string, not a date or a time"),
        ("[decode]\njson = true", "'decode.json' is for the command line alone: --json"),
        ("[decode]\nsave = ['x']", "'decode.save' is for the command line alone: --save"),
        ("[decode]\nno-config = true", "'decode.no-config' is for the command line alone"),
        ("[decode]\nexceptions = []", "'decode.exceptions' is no option of fpx decode"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(folder: Path, text: str, says: str) -> None:
    (folder / FPX).write_bytes(text.encode("utf-8", "surrogateescape"))
    code, out, err = call("decode", "1", "--dtype", "fp4")
    assert (code, out) == (2, "")
    assert err.startswith("fpx: ")
    assert err.count("\n") == 1
    assert says in err, err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tolerate-underflow = true", "must be a string or a number, not true or false"),
        ("top = '20'", "'cast-compare.top' must be an integer, not a string"),
        ("top = 2.5", "'cast-compare.top' must be an integer, not a number"),
        ("top = true", "'cast-compare.top' must be an integer, not true or false"),
        ("top = [20]", "'cast-compare.top' must be an integer, not an array"),
        ("backend = 'tensorflow'", "'cast-compare.backend' is wrong: "),
        ("exceptions = 1", "is an array of tables: write [[cast-compare.exceptions]]"),
        ("exceptions = [1]", "is an array of tables: write [[cast-compare.exceptions]]"),
        ("[[cast-compare.exceptions]]", "'cast-compare.exceptions[1]' lacks tensors"),
        ("[[cast-compare.exceptions]]\ntensors = 'x'", "lacks fail-if: the conditions that hold"),
        ("[[cast-compare.exceptions]]\ntensors = []\nfail-if = []", "exceptions[1].tensors' is "
         "empty"),
        ("[[cast-compare.exceptions]]\ntensor = 'x'", "'cast-compare.exceptions[1].tensor' is no "
         "key of an exception; did you mean 'tensors'?"),
        ("[[cast-compare.exceptions]]\ntensors = [1]", "must be an array of strings, not an array "
         "with an integer in it"),
        ("[[cast-compare.exceptions]]\nreason = ['x']", "must be a string, not an array"),
        ("[[cast-compare.exceptions]]\ntensors = 'x'\nfail-if = 'sqnr<1'", "exceptions[1]' is "
         "wrong: 'sqnr' is no metric; did you mean 'sqnr_db'?"),
        ("[[cast-compare.exceptions]]\ntensors = 're:('\nfail-if = []", "is no regular expression"),
        ("[[cast-compare.exceptions]]\ntensors = 'x'\nto = 'fp17'\nfail-if = []", "'fp17'"),
    ],
)  # fmt: skip
def test_what_is_wrong_of_cast_compare(folder: Path, text: str, says: str) -> None:
    (folder / FPX).write_text(f"[cast-compare]\n{text}\n")
    code, out, err = call("cast-compare", "normal", "--size", "10")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert says in err, err


def test_keys_in_messages_are_those_of_the_file(folder: Path) -> None:
    (folder / PROJECT).write_text("[tool.fpx.decode]\ndtyp = 'fp4'\n")
    assert call("decode", "1")[2] == (
        "fpx: pyproject.toml: 'tool.fpx.decode.dtyp' is no option of fpx decode; "
        "did you mean 'dtype'?\n"
    )
    (folder / PROJECT).write_text("[tool]\nfpx = 1\n")
    assert call("decode", "1")[2] == (
        "fpx: 'pyproject.toml': 'tool.fpx' is a table of commands, not an integer\n"
    )


def test_names_out_of_a_file_are_escaped(folder: Path) -> None:
    (folder / FPX).write_text('"\\u001b[31m\\u202e" = 1\n')
    err = call("decode", "1")[2]
    assert "\x1b" not in err
    assert "\u202e" not in err


def test_other_kinds_of_files_are_passed_over_or_told_of(folder: Path) -> None:
    os.mkfifo(folder / FPX)  # reading it would wait for ever
    assert formats() == usual()
    (folder / FPX).unlink()
    (folder / FPX).mkdir()
    assert formats() == usual()


def test_pairs_are_arrays(folder: Path) -> None:
    (folder / FPX).write_text("[range]\ncompare = ['fp16', 'bf16']\n")
    code, out, err = call("range")
    assert (code, "From float16 to bfloat16" in out) == (0, True), err
    for wrong in ("['fp16']", "'fp16'", "['fp16', 1]"):
        (folder / FPX).write_text(f"[range]\ncompare = {wrong}\n")
        code, out, err = call("range")
        assert (code, out, "range.compare" in err) == (2, "", True), err


def test_dashes_and_underlines_mean_the_same(folder: Path) -> None:
    for name in ("big-endian", "big_endian"):
        (folder / FPX).write_text(f"[bits]\n{name} = true\ndtype = 'bf16'\n")
        code, out, err = call("bits", "-", "--json", stdin=b"\x3f\x80")
        assert (code, json.loads(out)["results"][0]["code"]) == (0, "0x3f80"), err


def test_a_required_option_may_be_in_the_file(folder: Path) -> None:
    assert call("encode", "1")[0] == 0 or True  # whatever its default is
    (folder / FPX).write_text("[bits]\ndtype = 'bf16'\n")
    assert call("bits", "-", stdin=b"\x80\x3f")[0] == 0


def test_a_baseline_is_looked_for_beside_the_file(folder: Path) -> None:
    np.save(folder / "x.npy", np.ones(3, np.float32))
    (folder.parent / "old.json").write_text(call("inspect", "x.npy", "--json")[1])
    (folder.parent / FPX).write_text('[inspect]\nbaseline = "old.json"\n')
    code, out, err = call("inspect", "x.npy", "--json")
    assert code == 0, err
    assert json.loads(out)["baseline"]["equal"] == 1


def test_every_command_takes_a_file(folder: Path) -> None:
    (folder / FPX).write_text("".join(f"[{name}]\n" for name in COMMANDS))
    for name in COMMANDS:
        out = call(name, "--help", columns=200)[1]
        assert "--config" in out
        assert "--no-config" in out
    assert results("encode", "1", "--dtype", "bf16")[0]["code"] == "0x3f80"


def test_an_unused_file_is_not_named(folder: Path) -> None:
    (folder / FPX).write_text("[range]\ndtype = 'fp4'\n")
    assert call("encode", "1", "--dtype", "bf16")[2] == ""


def test_without_a_file_nothing_is_parsed(folder: Path) -> None:
    (folder / PROJECT).write_text("[project]\nname = 'fpx'\n")
    script = (
        "import sys; sys.argv = ['fpx', 'decode', '1']\nimport atexit\n"
        "atexit.register(lambda: print('tomllib' in sys.modules, file=sys.stderr))\n"
        "import fpx.cli; fpx.cli.main()"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(config.__file__).parents[2])}
    for expected in ("False", "True"):
        ran = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True, text=True, timeout=PATIENCE, env=env, check=True,
        )  # fmt: skip
        assert ran.stderr.split()[-1] == expected
        (folder / PROJECT).write_text("[tool.fpx.decode]\ndtype = 'fp4'\n")


def test_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert call("encode", "1", "--dtype", "bf16")[:2] == (0, "0x3f80\n")


def test_a_file_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: object, **kinds: object) -> None:
        raise PermissionError(13, "Permission denied")

    (folder / FPX).write_text("")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"cannot be read: Permission denied \(--no-config"):
        config.find(folder)
