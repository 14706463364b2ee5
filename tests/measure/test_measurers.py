"""Who measures: when, without numba, where nothing can be kept, and in how many threads."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from fpx.casts.backends import BACKENDS
from fpx.errors import InputError
from fpx.measure import cast_compare as comparing
from fpx.measure import fused, measurers
from fpx.measure.block import SourceBlock
from fpx.measure.cast_compare import cast_compare
from fpx.measure.casting import Casting, where_in
from fpx.measure.distinct import tally_codes
from fpx.measure.measurers import Cast, Chosen, choose
from fpx.measure.metrics import measure
from fpx.measure.plain_casting import cast_entry
from fpx.report.cast_compare import CastReport
from fpx.report.cast_row import Location
from fpx.tensors.blocks import READ_AHEAD
from fpx.tensors.memory import entry_of
from fpx.tensors.opening import Opened, open_all
from fpx.tensors.progress import Silent
from tests.helpers import BF16, E4M3, F16, F32, F64, call, results
from tests.measure.definitions import cpu, same

FLOAT = torch.float32


def _silent(line: str) -> None:
    raise AssertionError(line)


def compiled(threaded: bool) -> Chosen:
    """The compiled measurer."""
    pytest.importorskip("numba")
    loaded = fused.load()
    assert loaded is not None
    return Chosen(loaded[0], loaded[1], threaded)


def test_little_data_is_torchs() -> None:
    for casts in (
        [],
        [Cast(FLOAT, F16, (1 << 24) - (1 << 12) - 1)],
        [Cast(FLOAT, F16, 10)] * 4086,
        [Cast(torch.bfloat16, F16, 1 << 30)],
        [Cast(FLOAT, F64, 1 << 30)],
    ):
        chosen = choose(casts, _silent)
        assert chosen.measurer is measure
        assert chosen.says == (
            "torch's operations: fewer than 16,777,216 casts that a compiled pass would measure"
        )


def test_much_data_is_compiled() -> None:
    numba = pytest.importorskip("numba")
    chosen = choose([Cast(FLOAT, F16, 1 << 23), Cast(FLOAT, BF16, 1 << 23)], lambda _: None)
    assert isinstance(chosen.measurer, fused.FusedMeasurer)
    assert chosen.threaded
    assert chosen.says == f"one pass, compiled by numba {numba.__version__}"


def test_many_small_tensors_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pass saves whenever it is called is as much as on some thousands of elements."""
    pytest.importorskip("numba")
    monkeypatch.setattr(fused.FusedMeasurer, "is_kept", lambda self: True)
    chosen = choose([Cast(FLOAT, F16, 10)] * 4087, lambda _: None)
    assert isinstance(chosen.measurer, fused.FusedMeasurer)


def test_many_codes_are_counted_compiled() -> None:
    """A count costs a quarter of a cast."""
    pytest.importorskip("numba")
    cast = Cast(FLOAT, F16, (1 << 23) - (1 << 12))
    few = choose([cast], _silent, counted=(1 << 25) - 4)
    assert (few.measurer, few.tally) == (measure, tally_codes)
    chosen = choose([cast], lambda _: None, counted=1 << 25)
    assert chosen.tally == chosen.measurer.tally  # type: ignore[attr-defined]


def test_who_counts_is_asked() -> None:
    asked: list[int] = []

    def tally(codes: torch.Tensor, start: int, counts: torch.Tensor, first: torch.Tensor) -> None:
        asked.append(start)
        tally_codes(codes, start, counts, first)

    x = torch.arange(3 << 19).to(torch.bfloat16)
    report = cast_compare([x], [F16], measurer=Chosen(measure, "", True, tally))
    assert sorted(asked) == [0, 1 << 19, 2 << 19]
    assert report.rows[0].count == len(x)


@pytest.mark.parametrize("dtype", fused.SOURCES, ids=str)
def test_every_dtype_is_prepared_for(dtype: torch.dtype) -> None:
    pytest.importorskip("numba")
    assert choose([Cast(dtype, F16, 1 << 24)], lambda _: None).threaded


@pytest.mark.parametrize("kept", [True, False])
def test_few_elements_of_many_tensors_wait_for_no_compiler(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr(fused.FusedMeasurer, "is_kept", lambda self: kept)
    chosen = choose([Cast(FLOAT, F16, 10)] * 20_000, lambda _: None)
    assert chosen.threaded == kept
    assert ("too little data to compile" in chosen.says) == (not kept)
    assert choose([Cast(FLOAT, F16, 53)] * 20_000, lambda _: None).threaded


def test_what_is_kept(tmp_path: Path) -> None:
    """What is older than the file that it is of is not, nor is a part of it."""
    names = ("measure_narrow_bfloat16", "measure_segments", "find")
    written = tmp_path / "kernel.py"
    written.touch()
    stats = SimpleNamespace(cache_path=None)
    kernel = SimpleNamespace(__file__=str(written), find=SimpleNamespace(stats=stats))
    measurer = fused.FusedMeasurer(kernel)  # type: ignore[arg-type]
    assert not measurer.is_kept()
    stats.cache_path = str(tmp_path)
    for name in names:
        assert not measurer.is_kept()
        (tmp_path / f"kernel.{name}-12.py311.1.nbc").touch()
    assert measurer.is_kept()
    os.utime(tmp_path / "kernel.find-12.py311.1.nbc", (0, 0))
    assert not measurer.is_kept()


def test_what_was_compiled_is_kept() -> None:
    pytest.importorskip("numba")
    measurer = compiled(True).measurer
    assert isinstance(measurer, fused.FusedMeasurer)
    measurer.prepare(FLOAT)
    assert measurer.is_kept()


def test_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    there = builtins.__import__

    def lacking(name: str, *rest: Any, **kinds: Any) -> Any:
        if name.partition(".")[0] == "numba":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return there(name, *rest, **kinds)

    monkeypatch.setattr(builtins, "__import__", lacking)
    chosen = choose([Cast(FLOAT, F16, 1 << 24)], _silent)
    assert (chosen.measurer, chosen.threaded) == (measure, False)
    assert chosen.says == "torch's operations: numba is not installed"


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(fused.FusedMeasurer, "prepare", full)
    chosen = choose([Cast(FLOAT, F16, 1 << 24)], _silent)
    assert chosen.measurer is measure
    assert chosen.says == "torch's operations: numba compiled nothing, no space left"


def test_compiling_that_takes_its_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr(measurers, "_PATIENCE", 0.05)
    monkeypatch.setattr(fused.FusedMeasurer, "prepare", lambda *_: time.sleep(0.5))
    told: list[str] = []
    choose([Cast(FLOAT, F16, 1 << 24)], told.append)
    assert told == ["numba compiles what measures, which it keeps for next time"]
    assert threading.active_count() == len(threading.enumerate())


def test_an_installation_that_cannot_be_written_to(tmp_path: Path) -> None:
    """Neither beside the kernel nor in the user's folder: it is compiled, and not kept."""
    pytest.importorskip("numba")
    functions = tmp_path / "functions.py"
    functions.write_text(Path(fused.__file__).with_name("kernel.py").read_text())
    (tmp_path / "__pycache__").write_text("no folder")
    script = (
        "import numpy, functions\n"
        "into = numpy.zeros(1, numpy.float32)\n"
        "table = numpy.arange(3, dtype=numpy.float32)\n"
        "functions.look_up(numpy.ones(1, numpy.uint8), table, into)\n"
        "print(into[0])\n"
    )
    result = subprocess.run(
        [sys.executable, "-B", "-c", script],
        cwd=tmp_path, env={"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (result.stdout, result.stderr) == ("1.0\n", "")


def _data() -> torch.Tensor:
    x = torch.randn(100_003, generator=torch.Generator().manual_seed(3))
    x[70_000:] *= 1e5
    x[90_000::7] = torch.nan
    return x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_threads_make_no_difference(dtype: torch.dtype) -> None:
    """To the last bit: blocks are taken in in their order."""
    x = _data().to(dtype)
    views = [x, x[:100_000].view(250, 400).t(), x[::2]]
    one, several = (
        cast_compare(views, [F16, BF16, E4M3], device=cpu(block), measurer=compiled(threaded))
        for threaded, block in ((False, 1 << 11), (True, 1 << 9))  # a thread takes four at once
    )
    assert repr(one.rows) == repr(several.rows)
    assert repr(one.totals) == repr(several.totals)
    assert one.totals[0].count == 250_005


def test_as_torch_measures() -> None:
    x = _data()
    by_torch = cast_compare([x], [F16], device=cpu(1 << 11), measurer=Chosen(measure, ""))
    by_pass = cast_compare([x], [F16], device=cpu(1 << 9), measurer=compiled(True))
    assert by_torch.rows[0].locations == by_pass.rows[0].locations
    assert by_torch.rows[0].exponent_histogram == by_pass.rows[0].exponent_histogram
    for name, value in by_torch.rows[0].metrics.items():
        if value is not None:
            found = by_pass.rows[0].metrics[name]
            assert found == pytest.approx(value, rel=1e-12, abs=1e-12, nan_ok=True), name


def _interrupted_at(count: int, **kinds: Any) -> CastReport:
    class Interrupts(Silent):
        done = 0

        def advance(self, more: int) -> None:
            self.done += more
            if self.done >= count:
                raise KeyboardInterrupt

    return cast_compare([_data()], [F16], device=cpu(1 << 9), progress=Interrupts(), **kinds)


def test_ctrl_c_ends_it_with_what_was_done() -> None:
    threads = torch.get_num_threads(), threading.active_count()
    report = _interrupted_at(10_000, measurer=compiled(True), keep_partial=True)
    assert report.partial
    assert report.rows[0].count == 5 << 11
    with pytest.raises(KeyboardInterrupt):
        _interrupted_at(10_000, measurer=compiled(True))
    assert (torch.get_num_threads(), threading.active_count()) == threads


def test_a_fault_in_a_thread_is_told() -> None:
    def fails(*_: object, **__: object) -> Any:
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        cast_compare([_data()], [F16], device=cpu(1 << 9), measurer=Chosen(fails, "", True))


def test_blocks_outlive_what_they_were_read_into() -> None:
    """A reader may write each block over the last one."""
    x = _data()
    held = torch.empty(1 << 11)

    def read(limit: int) -> Iterator[torch.Tensor]:
        for start in range(0, len(x), limit):
            some = x[start : start + limit]
            held[: len(some)] = some
            yield held[: len(some)]

    entry = entry_of("x", x)
    found = []
    for each in (entry, replace(entry, read=read, lasting=False)):
        casting = Casting(BACKENDS["torch"], F32, F16)
        cast_entry(each, [casting], cpu(1 << 9), Silent(), compiled(True), 0)
        found.append(casting.stats)
    same(*found)


def test_verbose_says_who_measured() -> None:
    command = ("cast-compare", "normal", "--size", "100", "--json")
    code, out, err = call(*command, "--verbose")
    assert code == 0
    assert err == (
        "fpx: note: measured by torch's operations: fewer than 16,777,216 casts that a compiled "
        "pass would measure\n"
    )
    assert json.loads(out)["results"] == results(*command[:-1])


def test_integers_and_small_tensors_beside_large_ones() -> None:
    tensors = {"n": torch.arange(5000), "x": _data(), "s": torch.ones(3), "h": _data().bfloat16()}
    kinds: dict[str, Any] = {"device": cpu(1 << 11), "integers": True}
    one = cast_compare([tensors], [F16, F32], measurer=Chosen(measure, ""), **kinds)
    other = cast_compare([tensors], [F16, F32], measurer=compiled(True), **kinds)
    assert [row.exact_count for row in one.rows] == [row.exact_count for row in other.rows]
    assert [row.locations for row in one.rows] == [row.locations for row in other.rows]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_threads_that_read_a_file_themselves(dtype: torch.dtype, tmp_path: Path) -> None:
    """To the last bit as in memory, where maxima are too, which blocks to come write over."""
    x = torch.cat([_data(), *(_data() * scale for scale in (2, 3, 5, 7, 11))]).to(dtype)
    save_file({"x": x, "y": x.flip(0).view(-1, 3)}, tmp_path / "x.safetensors")
    given = {"x": x, "y": x.flip(0).view(-1, 3)}
    found = []
    for source in (given, str(tmp_path / "x.safetensors")):
        report = cast_compare([source], [F16, E4M3], device=cpu(1 << 9), measurer=compiled(True))
        found.append([replace(row, source="") for row in report.rows])
    assert repr(found[0]) == repr(found[1])
    assert len(x) > READ_AHEAD


def test_a_large_file_that_shrinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"x": torch.ones(READ_AHEAD + 100)}, path)

    def opened(*given: Any, **kinds: Any) -> Opened:
        found = open_all(*given, **kinds)
        os.truncate(path, path.stat().st_size - 1)
        return found

    monkeypatch.setattr(comparing, "open_all", opened)
    kinds: dict[str, Any] = {"device": cpu(1 << 9), "measurer": compiled(True)}
    with pytest.raises(InputError, match="ends too early"):
        cast_compare([str(path)], [F16], **kinds)
    save_file({"x": torch.ones(READ_AHEAD + 100)}, path)
    (source,) = open_all([str(path)]).sources
    path.unlink()
    assert source.entries[0].read_part is not None
    with pytest.raises(InputError, match="'x' cannot be read"):
        source.entries[0].read_part(0, 1)


def test_places_of_a_block_that_is_written_over_before_it_is_taken_in() -> None:
    x = torch.linspace(1, 3, 100)
    casting = Casting(BACKENDS["torch"], F32, F16)
    q = casting.results(x)
    take = casting.measured(SourceBlock(x), q, where_in(entry_of("x", x.clone())), measure)
    x.zero_()
    take()
    assert casting.stats.locations["max_abs"] == Location("x", (99,), 3.0, 3.0)
