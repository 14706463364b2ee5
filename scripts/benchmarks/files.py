"""Files: large ones in the page cache, many small tensors, two equal checkpoints."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

import fpx
from scripts.benchmarks.casts import normal
from scripts.benchmarks.processes import FPX, PYTHON, output
from scripts.benchmarks.results import Found, NotRunError, Sizes
from scripts.benchmarks.turns import rates, turns

_SMALL, _TEN = 20_000, 10
_BUFFER = 1 << 22


@contextmanager
def _folder(size: int) -> Iterator[Path]:
    """A temporary folder with room for so many bytes, removed afterwards.

    Raises:
        NotRunError: there is not so much room, or not so much memory to hold them.
    """
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < 1.1 * size:
        raise NotRunError(f"{tempfile.gettempdir()} has no {size / 1e9:.1f} GB free (see TMPDIR)")
    cached = _cacheable()
    if cached is not None and cached < 1.2 * size:
        raise NotRunError(f"no {size / 1e9:.1f} GB of memory are free to hold files")
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def _cacheable() -> int | None:
    """Bytes that the page cache may take; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next(
        (1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), None
    )


def write_safetensors(path: Path, x: Tensor, names: list[str]) -> None:
    """A file that holds the same float32 tensor under each of several names."""
    header = {
        name: {
            "dtype": "F32",
            "shape": list(x.shape),
            "data_offsets": [at * x.nbytes, (at + 1) * x.nbytes],
        }
        for at, name in enumerate(names)
    }
    text = json.dumps(header).encode()
    data = x.numpy().data.cast("B")
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _ in names:
            file.write(data)


def large_file(sizes: Sizes) -> Found:
    """cast-compare of a safetensors file just written, beside the same tensors in memory."""
    x = normal(sizes.elements)
    names = [f"layer.{number}" for number in range(sizes.tensors)]
    size = x.nbytes * len(names)
    with _folder(size) as folder:
        path = folder / "model.safetensors"
        write_safetensors(path, x, names)
        works: dict[str, Callable[[], object]] = {
            "file": lambda: fpx.cast_compare(str(path), "bfloat16"),
            "memory": lambda: fpx.cast_compare(dict.fromkeys(names, x), "bfloat16"),
        }
        works["file"]()  # which reads all of it into the cache
        speed = rates(turns(works, sizes.rounds), size)
    return Found((speed["file"] / speed["memory"],), speed, note=f"{size / 1e9:.1f} GB")


def small_tensors(sizes: Sizes) -> Found:
    """`fpx cast-compare` of 20,000 tensors of 10 values, beyond `import torch`: whole processes."""
    x = normal(_TEN)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.safetensors"
        write_safetensors(path, x, [f"layer.{number}" for number in range(_SMALL)])
        works = {
            "cast-compare": lambda: output(*FPX, "cast-compare", str(path), "--to", "bfloat16"),
            "import torch": lambda: output(*PYTHON, "-c", "import torch"),
        }
        found = turns(works, sizes.rounds)
    taken = {name: each.least for name, each in found.items()}
    return Found((taken["cast-compare"] - taken["import torch"],), taken, "s")


def equal_files(sizes: Sizes) -> Found:
    """`fpx.diff` of two equal files, beside reading both, one after the other in one thread."""
    names = [f"layer.{number}" for number in range(sizes.tensors // 2)]
    x = normal(sizes.elements)
    size = 2 * x.nbytes * len(names)
    with _folder(size) as folder:
        paths = [folder / f"{side}.safetensors" for side in "ab"]
        for path in paths:
            write_safetensors(path, x, names)
        a, b = map(str, paths)

        def work() -> None:
            if any(row.comparison.differing_count for row in fpx.diff(a, b).rows if row.comparison):
                raise ValueError("equal files differ")

        def read() -> None:
            buffer = bytearray(_BUFFER)
            for path in paths:
                with path.open("rb", buffering=0) as file:
                    while file.readinto(buffer):
                        pass

        read()
        speed = rates(turns({"diff": work, "read": read}, sizes.rounds), size)
    return Found((speed["diff"] / speed["read"],), speed, note=f"2 × {size / 2e9:.1f} GB")
