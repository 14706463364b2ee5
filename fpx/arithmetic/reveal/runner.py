"""Operations of torch as reductions that can be probed."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from fpx.arithmetic.reveal.catalogue import Form
from fpx.arithmetic.reveal.data import draw
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import container, spec_of, torch_dtype
from fpx.words import reason

CONTIGUOUS, STRIDED, TRANSPOSED = "contiguous", "strided", "transposed"

LAYOUTS = (CONTIGUOUS, STRIDED, TRANSPOSED)
"""How operands lie: together, every other element, or columns first."""

Rows = Sequence[tuple["array[float]", "array[float]"]]
Around = Callable[[], AbstractContextManager[object]]

_REFUSALS = (RuntimeError, TypeError, ValueError, IndexError)  # how torch says that it cannot


class NotOfferedError(Exception):
    """Why torch has not this operation here."""


class TorchReduction:
    """One element of an operation's result, or all of them at once where they compute alike.

    Attributes:
        count, leaf, out, products: as of `Reduction`.
        alike: whether all elements of the result have the same bits where their operands have.
    """

    def __init__(
        self,
        form: Form,
        count: int,
        leaf: FormatSpec,
        products: bool,
        device: torch.device,
        *,
        layout: str = CONTIGUOUS,
        compiled: bool = False,
        around: Around = nullcontext,
    ) -> None:
        """Runs the operation once.

        Args:
            form: the operation.
            count: leaves of each sum.
            leaf: format of the operands.
            products: whether there are second factors.
            device: where it runs.
            layout: one of LAYOUTS.
            compiled: whether torch.compile makes it.
            around: gives what is entered around each call, such as a setting.

        Raises:
            NotOfferedError: torch refuses, or its result is of no format.
        """
        self.count, self.leaf, self.products = count, leaf, products
        self._form, self._layout, self._around = form, layout, around
        self._dtype = torch_dtype(leaf)
        self._a = torch.zeros(form.rows, count, dtype=self._dtype, device=device)
        self._b = torch.zeros(form.columns, count, dtype=self._dtype, device=device)
        self._run = _compiled(form.run) if compiled else form.run
        self._second: Tensor | None = None
        try:
            found = self._results()
        except _REFUSALS as error:
            raise NotOfferedError(reason(error, 100)) from None
        out = spec_of(found.dtype)
        if out is None or not found.dtype.is_floating_point:
            raise NotOfferedError(f"its result is {str(found.dtype).removeprefix('torch.')}")
        self.out = out
        self.alike = True
        if form.rows * form.columns > 1:
            self.alike = self._all_alike()

    def __call__(self, rows: Rows) -> list[int]:
        """As of `Reduction`: as few calls of the operation as there can be."""
        first, form = self._tensor([a for a, _ in rows]), self._form
        second, which = self._distinct(rows)
        found: list[Tensor] = []
        for start, end in self._batches(which):
            some = which[start:end]
            kinds = sorted(set(some))
            self._fill(self._a, first[start:end])
            self._fill(self._b, second[kinds])
            results = self._results().reshape(form.rows, form.columns)
            columns = torch.tensor([kinds.index(kind) for kind in some], device=results.device)
            if form.rows == form.columns == 1:
                found.append(results[0].clone())
            else:
                found.append(results[torch.arange(end - start, device=results.device), columns])
        codes: list[int] = torch.cat(found).view(container(self.out)).tolist()
        mask = (1 << self.out.bits) - 1
        return [code & mask for code in codes]

    def _batches(self, which: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Rows that one call can answer: from, to."""
        rows, columns = (self._form.rows, self._form.columns) if self.alike else (1, 1)
        start = 0
        while start < len(which):
            end, kinds = start, set[int]()
            while end < len(which) and end - start < rows:
                kinds.add(which[end])
                if len(kinds) > columns:
                    break
                end += 1
            yield start, end
            start = end

    def _tensor(self, rows: Sequence[array[float]]) -> Tensor:
        held = torch.frombuffer(bytearray(b"".join(rows)), dtype=torch.float64)
        return held.view(len(rows), self.count).to(self._a.device).to(self._dtype)

    def _distinct(self, rows: Rows) -> tuple[Tensor, list[int]]:
        """The second factors that differ, and which of them each row has."""
        places: dict[int, int] = {}
        which: list[int] = []
        distinct: list[array[float]] = []
        for _, b in rows:
            if id(b) not in places:
                places[id(b)] = len(distinct)
                distinct.append(b)
            which.append(places[id(b)])
        return self._tensor(distinct), which

    def _fill(self, held: Tensor, rows: Tensor) -> None:
        """Puts rows into all rows of a tensor, again and again."""
        if len(rows) == len(held):
            held.copy_(rows)
        else:
            held.copy_(rows[torch.arange(len(held), device=rows.device) % len(rows)])

    def _results(self) -> Tensor:
        operands = [_laid_out(x, self._layout) for x in self._form.operands(self._a, self._b)]
        with self._around():
            found: Any = self._run(*operands)
        flat: Tensor = found.reshape(-1)
        return flat

    def _all_alike(self) -> bool:
        data = draw(self.leaf, self.out, self.count, 8, self.products)
        for a, b in zip(data.a, data.b, strict=True):
            self._fill(self._a, self._tensor([array("d", a.tobytes())]))
            self._fill(self._b, self._tensor([array("d", b.tobytes())]))
            bits = self._results().view(container(self.out))
            if bool((bits != bits[0]).any()):
                return False
        return True


def _compiled(run: Callable[..., Any]) -> Callable[..., Any]:
    def call(*operands: Tensor) -> Any:
        return run(*operands)

    # torch.compile counts what it compiled by code object, and past eight it gives up in silence
    call.__code__ = call.__code__.replace()
    found: Callable[..., Any] = torch.compile(call, dynamic=False)
    return found


def _laid_out(x: Tensor, layout: str) -> Tensor:
    """The same elements, lying in memory as a layout says."""
    if layout == CONTIGUOUS or x.dim() == 0:
        return x
    if layout == TRANSPOSED and x.dim() > 1:
        return x.transpose(-1, -2).contiguous().transpose(-1, -2)
    wide = x.new_zeros(*x.shape[:-1], 2 * x.shape[-1])
    wide[..., ::2] = x
    return wide[..., ::2]
