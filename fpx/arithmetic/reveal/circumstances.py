"""What an operation is tried with: sizes, threads, layouts, the compiler and settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch

from fpx.arithmetic.reveal.runner import CONTIGUOUS, LAYOUTS
from fpx.arithmetic.reveal.settings import PRECISION, parse_flags
from fpx.arithmetic.reveal.subjects import Subject
from fpx.errors import InputError
from fpx.report.reveal_case import Case, Size
from fpx.words import did_you_mean, listed, quoted

_MOST_LEAVES = 1 << 18
_MOST_ELEMENTS = 1 << 25  # of an operand: what every call has to read
_MOST_CASES = 4096
_MOST_THREADS = 4096


@dataclass(frozen=True)
class Circumstances:
    """What operations are tried with, in all combinations.

    Attributes:
        sizes: of operands; by default the operation's own.
        batch: rows of the result, in place of those of the sizes.
        threads: that torch uses; by default as it is.
        layouts: of LAYOUTS.
        compiled: without torch.compile, with it, or both.
        flags: settings of torch, and what each is set to.
    """

    sizes: Sequence[Size] = ()
    batch: Sequence[int] = ()
    threads: Sequence[int] = ()
    layouts: Sequence[str] = (CONTIGUOUS,)
    compiled: Sequence[bool] = (False,)
    flags: Sequence[tuple[str, Sequence[str]]] = ()

    def cases(self, subject: Subject, named: bool) -> list[Case]:
        """Every combination for an operation.

        Args:
            subject: the operation.
            named: whether somebody asked for it; one that was not keeps its own size where none of
                these fits it.

        Raises:
            InputError: a size is not one of the operation's, or there are too many.
        """
        asked = [size for size in self.sizes if named or _why_not(size, subject) is None] or [
            subject.size
        ]
        for size in asked:
            why = _why_not(size, subject)
            if why is not None:
                raise InputError(why)
        sizes = [size if subject.matrix else subject.size._replace(k=size.k) for size in asked]
        if self.batch and named and not subject.matrix:
            raise InputError(f"{subject.name} takes a vector, which has no `batch`")
        if self.batch and subject.matrix:
            sizes = [size._replace(m=m) for size in sizes for m in self.batch]
        names = [name for name, _ in self.flags]
        found = [
            Case(size, threads, layout, compiled, tuple(zip(names, values, strict=True)))
            for threads, layout, compiled, values, size in product(
                self.threads or (torch.get_num_threads(),),
                self.layouts,
                self.compiled,
                list(product(*(values for _, values in self.flags))),
                dict.fromkeys(sizes),
            )
        ]
        if len(found) > _MOST_CASES:
            raise InputError(f"these are {len(found):,} combinations: {_MOST_CASES:,} at most")
        return found


def _why_not(size: Size, subject: Subject) -> str | None:
    """Why an operation cannot have a size; None if it can."""
    if size.matrix != subject.matrix:
        wanted = "--shape MxKxN" if subject.matrix else "--n"
        return f"{subject.name} takes its size by {wanted}"
    if not 2 <= size.k <= _MOST_LEAVES:
        return f"{size.k:,} numbers to add: from 2 to {_MOST_LEAVES:,} can be told of"
    if size.k % subject.multiple:
        return f"{subject.name} adds multiples of {subject.multiple} here, not {size.k:,} numbers"
    if min(size.m, size.n) < 1 or max(size.m, size.n) * size.k > _MOST_ELEMENTS:
        return f"{size.text}: operands have from 1 to {_MOST_ELEMENTS:,} elements here"
    return None


def find_circumstances(
    *,
    n: Sequence[str] = (),
    shape: Sequence[str] = (),
    batch: Sequence[str] = (),
    threads: Sequence[str] = (),
    layout: Sequence[str] = (),
    compiled: bool = False,
    matmul_precision: Sequence[str] = (),
    flags: Sequence[str] = (),
) -> Circumstances:
    """Circumstances as people write them.

    Args:
        n, batch, threads: numbers as `parse_numbers` takes them.
        shape: `MxKxN`, several with commas.
        layout: names of LAYOUTS, several with commas.
        compiled: whether to try the compiled operation beside the plain one.
        matmul_precision: values of torch's `float32_matmul_precision`, several with commas.
        flags: as `parse_flags` takes them.

    Raises:
        InputError: one of them is off.
    """
    sizes = [Size(1, k, 1, matrix=False) for k in parse_numbers(n, "n")]
    sizes += [_shape(text) for whole in shape for text in whole.split(",")]
    asked = list(flags)
    if matmul_precision:
        asked.append(f"{PRECISION}={','.join(matmul_precision)}")
    layouts = dict.fromkeys(text.strip() for whole in layout for text in whole.split(","))
    for text in layouts:
        if text not in LAYOUTS:
            meant = did_you_mean(text, LAYOUTS)
            raise InputError(
                f"`layout` must be one of {listed(LAYOUTS)}, not {quoted(text)}{meant}"
            )
    counts = parse_numbers(threads, "threads")
    if any(count > _MOST_THREADS for count in counts):
        raise InputError(f"`threads` must be at most {_MOST_THREADS:,}")
    return Circumstances(
        tuple(sizes),
        parse_numbers(batch, "batch"),
        counts,
        tuple(layouts) or (CONTIGUOUS,),
        (False, True) if compiled else (False,),
        tuple(parse_flags(asked)),
    )


_RANGE = re.compile(r"([0-9]{1,9})(?:\.\.([0-9]{1,9}))?")


def parse_numbers(texts: Sequence[str], parameter: str) -> tuple[int, ...]:
    """Whole numbers from 1: `64`, `1,2,4`, `1..256`.

    Args:
        texts: one or several each.
        parameter: what messages call it.

    Raises:
        InputError: not of that form, or more than are ever tried.
    """
    found: dict[int, None] = {}
    for text in (part.strip() for whole in texts for part in whole.split(",")):
        match = _RANGE.fullmatch(text)
        if match is None or int(match[1]) < 1 or (match[2] and int(match[2]) < int(match[1])):
            raise InputError(
                f"`{parameter}`: {quoted(text)} is no number from 1 and no range: write 64, 1,2,4 "
                "or 1..256"
            )
        last = int(match[2] or match[1])
        if last - int(match[1]) >= _MOST_CASES:
            raise InputError(f"`{parameter}`: {text} has more than {_MOST_CASES:,} numbers")
        found.update(dict.fromkeys(range(int(match[1]), last + 1)))
    return tuple(found)


def _shape(text: str) -> Size:
    match = re.fullmatch(r"\s*([0-9]{1,9})x([0-9]{1,9})x([0-9]{1,9})\s*", text.lower())
    if match is None:
        raise InputError(f"`shape`: {quoted(text)} is no shape: write MxKxN, such as 32x64x32")
    return Size(int(match[1]), int(match[2]), int(match[3]))
