"""Torch's operations that add up, a row each: how leaves become their operands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - as everyone calls it
from torch import Tensor

from fpx.errors import InputError
from fpx.report.reveal_case import Size
from fpx.words import did_you_mean, listed, quoted

FORMATS = ("float32", "bfloat16", "float16")
"""The formats in which operations are surveyed."""


class Form(NamedTuple):
    """An operation of one size.

    Attributes:
        rows, columns: of the results; each is a sum of its own.
        operands: first factors of shape (rows, k) and second ones of shape (columns, k) -> the
            operation's operands.
        run: operands -> at least rows * columns results, row by row.
    """

    rows: int
    columns: int
    operands: Callable[[Tensor, Tensor], Sequence[Tensor]]
    run: Callable[..., Any]


class Operation(NamedTuple):
    """One row.

    Attributes:
        name: torch's, as far as there is one.
        form: gives the form of a size.
        products: whether leaves are products of two factors.
        matrix: whether its size is that of matrices, MxKxN.
        size: that of the survey.
        formats: those of the survey.
        multiple: what the number of leaves is a multiple of.
    """

    name: str
    form: Callable[[Size], Form]
    products: bool
    matrix: bool
    size: Size
    formats: Sequence[str] = FORMATS
    multiple: int = 1


def _vector(run: Callable[[Tensor], Tensor]) -> Callable[[Size], Form]:
    return lambda size: Form(1, 1, lambda a, b: (a[0],), run)


def _columns(run: Callable[[Tensor], Tensor]) -> Callable[[Size], Form]:
    """Of a (k, m) matrix, whose columns are added up."""
    return lambda size: Form(size.m, 1, lambda a, b: (a.t().contiguous(),), run)


def _into_one(name: str) -> Callable[[Size], Form]:
    """Elements that an index sends to one place."""

    def run(x: Tensor) -> Tensor:
        total, index = x.new_zeros(1), torch.zeros(len(x), dtype=torch.long, device=x.device)
        if name == "index_put":
            return total.index_put_((index,), x, accumulate=True)
        if name == "scatter_reduce":
            return total.scatter_reduce_(0, index, x, "sum")
        found: Tensor = getattr(total, f"{name}_")(0, index, x)
        return found

    return _vector(run)


def _segment_reduce(x: Tensor) -> Tensor:
    lengths = torch.tensor([len(x)], device=x.device)
    return torch.segment_reduce(x, "sum", lengths=lengths)


def _embedding_bag(x: Tensor) -> Tensor:
    index = torch.arange(len(x), device=x.device)
    return F.embedding_bag(index, x, index[:1], mode="sum")


def _matrices(run: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Size], Form]:
    """Of (m, k) and (k, n)."""
    return lambda size: Form(size.m, size.n, lambda a, b: (a, b.t().contiguous()), run)


def _mm(a: Tensor, b: Tensor) -> Tensor:
    return a @ b


def _addmm(a: Tensor, b: Tensor) -> Tensor:
    return torch.addmm(b.new_zeros(b.shape[1]), a, b)


def _linear(size: Size) -> Form:
    return Form(size.m, size.n, lambda a, b: (a, b), F.linear)


def _einsum(a: Tensor, b: Tensor) -> Tensor:
    return torch.einsum("mk,nk->mn", a, b)


def _bmm(size: Size) -> Form:
    batch = 4 if size.m % 4 == 0 else 1

    def operands(a: Tensor, b: Tensor) -> Sequence[Tensor]:
        return a.view(batch, -1, size.k), b.t().expand(batch, -1, -1).contiguous()

    return Form(size.m, size.n, operands, torch.bmm)


def _conv1d(size: Size) -> Form:
    """Four channels less, kernels of 4 side by side: each result has a window of its own."""

    def operands(a: Tensor, b: Tensor) -> Sequence[Tensor]:
        x = a.view(size.m, -1, 4).transpose(0, 1).reshape(1, -1, 4 * size.m)
        return x, b.view(size.n, -1, 4)

    def run(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv1d(x, weight, stride=4)[0].t()

    return Form(size.m, size.n, operands, run)


def _conv2d(size: Size) -> Form:
    """3x3 kernels over 8x8 images; what is probed is the corner, and the rest of the image is 0."""

    def operands(a: Tensor, b: Tensor) -> Sequence[Tensor]:
        x = a.new_zeros(size.m, size.k // 9, 8, 8)
        x[:, :, :3, :3] = a.view(size.m, -1, 3, 3)
        return x, b.view(size.n, -1, 3, 3)

    def run(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight)[:, :, 0, 0]

    return Form(size.m, size.n, operands, run)


def _scaled_mm(fast: bool) -> Callable[[Size], Form]:
    def run(a: Tensor, b: Tensor) -> Tensor:
        one = torch.ones((), device=a.device)
        return torch._scaled_mm(a, b, one, one, out_dtype=torch.float32, use_fast_accum=fast)

    return lambda size: Form(size.m, size.n, lambda a, b: (a, b.t()), run)


_V = Size(1, 64, 1, matrix=False)
_M = Size(32, 64, 32)


def _sum(name: str, form: Callable[[Size], Form], m: int = 1) -> Operation:
    return Operation(name, form, products=False, matrix=False, size=_V._replace(m=m))


def _product(name: str, form: Callable[[Size], Form], size: Size = _M) -> Operation:
    return Operation(name, form, products=True, matrix=True, size=size)


OPERATIONS: Mapping[str, Operation] = {
    row.name: row
    for row in (
        _sum("sum", _vector(torch.sum)),
        _sum("sum_columns", _columns(lambda x: x.sum(0)), 16),
        _sum("mean", _vector(torch.mean)),
        _sum("cumsum", _vector(lambda x: torch.cumsum(x, 0)[-1])),
        _sum("trace", _vector(lambda x: torch.trace(torch.diag(x)))),
        _sum("avg_pool1d", _vector(lambda x: F.avg_pool1d(x[None], len(x)))),
        _sum("softmax", _vector(lambda x: torch.softmax(x, 0)[0])),
        _sum("embedding_bag", _columns(_embedding_bag), 16),
        _sum("index_add", _into_one("index_add")),
        _sum("index_put", _into_one("index_put")),
        _sum("scatter_add", _into_one("scatter_add")),
        _sum("scatter_reduce", _into_one("scatter_reduce")),
        _sum("segment_reduce", _vector(_segment_reduce)),
        Operation(
            "dot", lambda size: Form(1, 1, lambda a, b: (a[0], b[0]), torch.dot),
            products=True, matrix=False, size=_V,
        ),
        _product("mv", lambda size: Form(size.m, 1, lambda a, b: (a, b[0]), torch.mv),
                 _M._replace(n=1)),
        _product("mm", _matrices(_mm)),
        _product("addmm", _matrices(_addmm)),
        _product("bmm", _bmm),
        _product("linear", _linear),
        _product("einsum", lambda size: Form(size.m, size.n, lambda a, b: (a, b), _einsum)),
        _product("conv1d", _conv1d)._replace(multiple=4),
        _product("conv2d", _conv2d, Size(4, 72, 16))._replace(multiple=9),
        _product("scaled_mm", _scaled_mm(fast=False))._replace(formats=("float8_e4m3fn",)),
        _product("scaled_mm_fast", _scaled_mm(fast=True))._replace(formats=("float8_e4m3fn",)),
    )
}  # fmt: skip
"""Every operation by its name."""


def find_operation(name: str) -> Operation:
    """The operation of that name.

    Raises:
        InputError: there is none.
    """
    found = OPERATIONS.get(name.strip().lower().removeprefix("torch."))
    if found is None:
        meant = did_you_mean(name, OPERATIONS) or f": use one of {listed(OPERATIONS, 40)}"
        raise InputError(f"no such operation: {quoted(name)}{meant}")
    return found
