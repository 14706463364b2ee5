"""The rows of the benchmark, in the order in which they run."""

from __future__ import annotations

from functools import partial

from scripts.benchmarks import casts, commands, explore, files, sweeps, training
from scripts.benchmarks.casts import FLOAT8, PLAIN, TO, TRIP
from scripts.benchmarks.commands import STREAMED
from scripts.benchmarks.results import Row, Target

_ONE = (Target(f"× {TRIP}", 1.3), Target(f"× {TO}", 0.5), Target(f"× {PLAIN} torch", 20))
_STRANGE = (
    Target("× normal numbers: all overflow", 0.5),
    Target("× normal numbers: all subnormal", 0.5),
)
_EIGHT = (Target("× x.to(float32)", 0.3), Target(f"× {PLAIN} torch", 50))
_BUSY = (Target("× quiet", 0.5),)
_SCALED = (Target("× float32 -> bfloat16", 0.5),)


def _streams(bound: float) -> tuple[Target, ...]:
    return tuple(Target(f"values a second, {name}", bound) for name in STREAMED)


_IMPORTS = 'python -c "import typer, rich.table"'

ROWS: tuple[Row, ...] = (
    Row("bfloat16", "float32 -> bfloat16", _ONE, partial(casts.one, "bfloat16")),
    Row("float16", "float32 -> float16", _ONE, partial(casts.one, "float16")),
    Row(
        "busy-bfloat16", "float32 -> bfloat16, a busy process per core", _BUSY,
        partial(casts.busy, "bfloat16"),
    ),
    Row(
        "busy-float16", "float32 -> float16, a busy process per core", _BUSY,
        partial(casts.busy, "float16"),
    ),
    Row(
        "strange-bfloat16", "float32 -> bfloat16, outside its range", _STRANGE,
        partial(casts.strange, "bfloat16"),
    ),
    Row(
        "strange-float16", "float32 -> float16, outside its range", _STRANGE,
        partial(casts.strange, "float16"),
    ),
    Row("from-bfloat16", "bfloat16 -> eight targets", _EIGHT, partial(casts.many, "bfloat16")),
    Row("from-float16", "float16 -> eight targets", _EIGHT, partial(casts.many, "float16")),
    Row("float8", "float32 -> four float8", (Target(f"× four {TRIP}", 1.2),), casts.float8s),
    Row("mxfp4", "float32 -> mxfp4", _SCALED, partial(casts.scaled, "mxfp4")),
    Row("nvfp4", "float32 -> nvfp4", _SCALED, partial(casts.scaled, "nvfp4")),
    Row("float64", "float64 -> float16", (Target(f"× {TRIP}", 0.5),), casts.double),
    Row(
        "memory", "extra memory", (Target("MB beyond the tensor", 64, at_most=True),), casts.memory
    ),
    Row(
        "file", "a safetensors file in the page cache", (Target("× in memory", 0.8),),
        files.large_file,
    ),
    Row(
        "small", "20,000 tensors of 10 values",
        (Target("s beyond `import torch`", 3, at_most=True),), files.small_tensors,
    ),
    Row(
        "sweep-float16", "2^32 codes verified, float32 -> float16",
        (Target("s", 12, at_most=True),), partial(sweeps.sweep, ("float16",)),
    ),
    Row(
        "sweep-float8", "2^32 codes verified, float32 -> float8",
        tuple(Target(f"s, {name}", 30, at_most=True) for name in FLOAT8),
        partial(sweeps.sweep, FLOAT8),
    ),
    Row(
        "sweep-e8m0", "2^32 codes verified, float32 -> float8_e8m0fnu",
        (Target("s", 40, at_most=True),), partial(sweeps.sweep, ("float8_e8m0fnu",)),
    ),
    Row(
        "sweep-differing", "2^32 codes verified, every second one differs",
        (Target("s", 60, at_most=True),), sweeps.every_second,
    ),
    Row("diff", "fpx diff of two equal files", (Target("× reading", 0.5),), files.equal_files),
    Row(
        "cuda", "float32 -> bfloat16 on CUDA", (Target("× a copy on the device", 0.5),), casts.cuda
    ),
    Row(
        "watch", "a training step, watched",
        (Target("× the step alone", 6, at_most=True),
         Target(f"× {training.EVERY} steps alone, one counted", 1.6, at_most=True)),
        training.watched,
    ),
    Row(
        "decode", "fpx decode 3.14 --dtype bf16", (Target(f"× {_IMPORTS}", 1.15, at_most=True),),
        partial(commands.start, ("decode", "3.14", "--dtype", "bf16")),
    ),
    Row(
        "help", "fpx --help", (Target(f"× {_IMPORTS}", 1.5, at_most=True),),
        partial(commands.start, ("--help",)),
    ),
    Row(
        "encode-stream", "fpx encode -", _streams(200_000), partial(commands.stream, ("encode",)),
    ),
    Row(
        "decode-stream", "fpx decode - --jsonl", _streams(60_000),
        partial(commands.stream, ("decode", "--jsonl")),
    ),
    Row(
        "explore", "fpx explore 3.14, to its first picture",
        (Target('× python -c "import textual"', 1.5, at_most=True),), explore.start,
    ),
    Row(
        "explore-keys", "a key of fpx explore",
        tuple(Target(f"ms, {names[0]}", most, at_most=True)
              for names, most in zip(explore.FORMATS, (50, 100), strict=True)),
        explore.keys,
    ),
)  # fmt: skip
"""Every row; what each measures is told by the function that does."""
