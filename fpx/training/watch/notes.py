"""What a report says of models that can't be watched as they are: a sentence for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from fpx.report.watch_rows import GRAD_OUTPUT, UPDATE, WEIGHT_GRAD
from fpx.words import listed

_SHOWN = 3  # names


def is_compiled(model: nn.Module) -> bool:
    """Whether torch.compile made the model, or was told to make part of it."""
    return any(
        type(module).__name__ == "OptimizedModule"
        or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )


def compiled(
    known: bool, leaves: Sequence[str], silent: Sequence[str], steps: int
) -> Iterator[str]:
    """Of modules that torch.compile took in.

    Args:
        known: whether the model is seen to be compiled.
        leaves: names of the modules that have no others inside.
        silent: those of them that were never seen to run.
        steps: steps of optimizers that were made.
    """
    unseen = bool(silent) and (known or (steps > 0 and len(silent) == len(leaves)))
    if unseen:
        yield (
            f"{len(silent):,} of {len(leaves):,} modules ({listed(silent, _SHOWN)}) were never "
            "seen to run: what torch.compile compiled before calls no hooks. Watch from before "
            "the first compiled call on, call torch._dynamo.reset() before, or run uncompiled "
            'with torch.compiler.set_stance("force_eager")'
        )
    if known and len(silent) < len(leaves):
        yield (
            "the model is compiled: watching cuts its graph after every module, which makes it "
            "slower and can change last bits"
        )


def recomputed(count: int) -> Iterator[str]:
    """Of activation checkpointing."""
    if count:
        yield (
            f"{count:,} outputs were computed again in backward passes (activation "
            "checkpointing), and are counted once"
        )


def ranks(sharded: bool) -> Iterator[str]:
    """Of processes that train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        if size > 1:
            parts = ", and of sharded tensors its part" if sharded else ""
            yield f"rank {rank} of {size}: the activations and gradients of this process{parts}"


def skipped(kinds: Mapping[str, str]) -> Iterator[str]:
    """Of tensors that can't be counted: why -> the module that had the first."""
    for why, name in kinds.items():
        yield f"tensors that are {why} are not counted ({name} has some)"


def closures(seen: bool) -> Iterator[str]:
    """Of optimizers that compute gradients themselves."""
    if seen:
        yield (
            "an optimizer was given a closure: its gradients are those that it left after its step"
        )


def strides(every: Mapping[str, int]) -> Iterator[str]:
    """Of updates that are not all followed."""
    most = max(every.values(), default=1)
    if most > 1:
        yield f"updates of large parameters are followed for one weight in {most:,}"


def steps(made: int, kinds: Sequence[str]) -> Iterator[str]:
    """Of models that no optimizer stepped."""
    if not made and {WEIGHT_GRAD, UPDATE, GRAD_OUTPUT} & {*kinds}:
        yield "no optimizer was seen to step: there are no weight gradients and no updates"
