"""Torch's settings that may change how it adds, a row each, and what they are set to here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import torch

from fpx.errors import InputError
from fpx.words import did_you_mean, listed, quoted, reason

_UNSET = (AttributeError, RuntimeError)  # this torch has it not, or not beside its newer names
_ON_OFF: Mapping[str, object] = {"on": True, "off": False, "true": True, "false": False}


class Setting(NamedTuple):
    """One row.

    Attributes:
        name: torch's own, without `torch.` and `backends.`.
        values: what it may be set to; on and off where none is named.
        read, write: what does that.
    """

    name: str
    values: tuple[str, ...]
    read: Callable[[], object]
    write: Callable[[Any], object]

    def parsed(self, text: str) -> object:
        """The value that a text means.

        Raises:
            InputError: none of its values.
        """
        plain = text.strip().lower()
        if plain in self.values:
            return plain
        if not self.values and plain in _ON_OFF:
            return _ON_OFF[plain]
        valid = self.values or ("on", "off")
        raise InputError(f"{self.name} is one of {listed(valid)}, not {quoted(text)}")


def _backend(name: str, values: tuple[str, ...] = ()) -> Setting:
    *path, last = name.split(".")

    def owner() -> Any:
        found: Any = torch.backends
        for part in path:
            found = getattr(found, part)
        return found

    def read() -> object:
        value: object = getattr(owner(), last)
        return value

    return Setting(name, values, read, lambda value: setattr(owner(), last, value))


_PRECISIONS = ("none", "ieee", "tf32", "bf16")

PRECISION = "float32_matmul_precision"

SETTINGS: Mapping[str, Setting] = {
    row.name: row
    for row in (
        Setting(
            PRECISION, ("highest", "high", "medium"),
            torch.get_float32_matmul_precision, torch.set_float32_matmul_precision,
        ),
        Setting(
            "deterministic_algorithms", (),
            torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms,
        ),
        Setting(
            "flush_denormal", (), lambda: _flushes(), torch.set_flush_denormal,
        ),
        _backend("mkldnn.enabled"),
        _backend("mkldnn.deterministic"),
        _backend("mkldnn.matmul.fp32_precision", _PRECISIONS),
        _backend("mkldnn.conv.fp32_precision", _PRECISIONS),
        _backend("cuda.matmul.allow_tf32"),
        _backend("cuda.matmul.fp32_precision", _PRECISIONS),
        _backend("cuda.matmul.allow_fp16_reduced_precision_reduction"),
        _backend("cuda.matmul.allow_bf16_reduced_precision_reduction"),
        _backend("cuda.matmul.allow_fp16_accumulation"),
        _backend("cudnn.allow_tf32"),
        _backend("cudnn.conv.fp32_precision", _PRECISIONS),
        _backend("cudnn.deterministic"),
        _backend("cudnn.benchmark"),
    )
}  # fmt: skip
"""Every setting by its name."""


def _flushes() -> bool:
    """Whether this thread takes subnormals for zero."""
    tiny = torch.tensor(2.0**-130)
    return not bool((tiny * 1.0).view(torch.int32).item())


def parse_flags(texts: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Settings and the values to try: `NAME=VALUE[,VALUE]` each.

    Raises:
        InputError: not of that form, no such setting or value, or one is named twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        plain = name.strip().removeprefix("torch.").removeprefix("backends.")
        if plain not in SETTINGS:
            meant = did_you_mean(plain, SETTINGS) or f": use one of {listed(SETTINGS, 40)}"
            raise InputError(f"no such flag: {quoted(name)}{meant}")
        if not equals:
            raise InputError(f"{quoted(text)} sets nothing: write {plain}=VALUE[,VALUE]")
        if plain in found:
            raise InputError(f"{plain} is set twice: write {plain}=VALUE,VALUE")
        chosen = tuple(value.strip().lower() for value in values.split(","))
        for value in chosen:
            SETTINGS[plain].parsed(value)
        found[plain] = chosen
    return list(found.items())


@contextmanager
def applied(flags: Sequence[tuple[str, str]], threads: int) -> Iterator[None]:
    """Torch with settings and a number of threads; as it was, once the block ends.

    Raises:
        InputError: torch refuses a setting.
    """
    before_threads = torch.get_num_threads()
    before = _values() if flags else {}
    try:
        if threads != before_threads:
            torch.set_num_threads(threads)
        for name, text in flags:
            row = SETTINGS[name]
            try:
                row.write(row.parsed(text))
            except _UNSET as error:
                raise InputError(f"torch refuses {name}={text}: {reason(error)}") from None
        yield
    finally:
        # one setting may change others: torch keeps old names of some beside new ones
        for name, value in (_values() if flags else {}).items():
            if value != before[name]:
                SETTINGS[name].write(before[name])
        if threads != before_threads:
            torch.set_num_threads(before_threads)


def current() -> dict[str, object]:
    """What every setting is; what this torch has not, or does not tell, is left out."""
    return {
        name: value if isinstance(value, (bool, str)) else str(value)
        for name, value in _values().items()
    }


def _values() -> dict[str, object]:
    found: dict[str, object] = {}
    for row in SETTINGS.values():
        with suppress(*_UNSET):
            found[row.name] = row.read()
    return found
