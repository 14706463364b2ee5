"""Which weights of a checkpoint the states of an optimizer belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from fpx.tensors.entry import Source, TensorEntry
from fpx.training.states import OptimizerState, ParameterState
from fpx.words import listed, quoted

_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_BUFFERS = {"running_mean", "running_var", "num_batches_tracked"}
_MODELS = ("", "model", "state_dict", "model_state_dict", "module", "net")  # the likeliest first
_ORDERED = {"torch", "torch (legacy)", "tensor"}  # kinds of sources that keep the order of a module
_DEEPEST = 64  # parts of a name


@dataclass(frozen=True)
class Weight:
    """A tensor that may be the weight of a parameter.

    Attributes:
        source: where it is.
        entry: the tensor.
    """

    source: Source
    entry: TensorEntry


@dataclass(frozen=True)
class Pair:
    """A parameter of an optimizer and its weight.

    Attributes:
        state: what the optimizer keeps.
        weight: its weight; None where none is known.
        why: why not.
    """

    state: ParameterState
    weight: Weight | None
    why: str = ""

    @property
    def name(self) -> str:
        """The parameter's name, as far as it is known."""
        if self.state.name is not None:
            return self.state.name
        if self.weight is not None and self.state.key.isdigit():
            return self.weight.entry.name
        return f"state.{self.state.key}" if self.state.key.isdigit() else self.state.key


def paired(optimizer: OptimizerState, weights: Sequence[Weight]) -> list[Pair]:
    """Each parameter that an optimizer keeps something of, with its weight.

    By name where the optimizer has names; else by the order of the model's parameters, which only
    torch's own files keep; else by the shape, where no other has it.

    Args:
        optimizer: the optimizer.
        weights: all tensors that are in no optimizer's state, in the order of their files.
    """
    states = list(optimizer.parameters.values())
    if not weights:
        return [
            Pair(state, None, "there are no weights: name them with `model`") for state in states
        ]
    if all(_name(state) is not None for state in states):
        return _by_name(states, weights)
    if any(weight.source.kind not in _ORDERED for weight in weights):
        return _by_shape(states, weights)
    return _by_order(optimizer, weights)


# -- by name ---------------------------------------------------------------------------------------


def _name(state: ParameterState) -> str | None:
    return state.name if state.name is not None or state.key.isdigit() else state.key


def _plain(name: str) -> list[str]:
    """The parts of a name without those that wrappers of modules add."""
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    return parts[1:] if parts[0] == "module" and len(parts) > 1 else parts


def _by_name(states: Sequence[ParameterState], weights: Sequence[Weight]) -> list[Pair]:
    ends: dict[str, dict[str, Weight]] = {}  # the end of a name -> what is before it -> the weight
    for weight in weights:
        parts = weight.entry.name.split(".")
        for cut in range(max(len(parts) - _DEEPEST, 0), len(parts)):
            end = ".".join(_plain(".".join(parts[cut:])))
            ends.setdefault(end, {}).setdefault(".".join(parts[:cut]), weight)
    names = {state.key: ".".join(_plain(_name(state) or "")) for state in states}
    found = Counter(start for name in names.values() for start in ends.get(name, ()))
    most = max(((found[start], -_rank(start)) for start in found), default=(0, 0))
    best = [start for start in found if (found[start], -_rank(start)) == most]
    pairs = []
    for state in states:
        held = ends.get(names[state.key], {})
        its = [held[start] for start in best if start in held]
        pairs.append(_only(state, its, "no weight has its name"))
    return pairs


def _only(state: ParameterState, weights: Iterable[Weight], none: str) -> Pair:
    """A parameter and the one weight that it may be; of several, that of its shape.

    Args:
        state: the parameter.
        weights: what it may be, some of them the same.
        none: why there is none.
    """
    each = list({id(weight): weight for weight in weights}.values())
    fitting = [weight for weight in each if weight.entry.shape == state.shape]
    if len(each) > 1 and fitting:
        each = fitting
    if len(each) == 1:
        return _checked(state, each[0])
    names = listed((quoted(weight.entry.name) for weight in each), 3)
    which = f"it may be that of {names}: `model` may name the right ones alone"
    return Pair(state, None, which if each else none)


def _rank(start: str) -> int:
    """How unlikely the weights of a model begin so."""
    return _MODELS.index(start) if start in _MODELS else len(_MODELS)


def _checked(state: ParameterState, weight: Weight) -> Pair:
    """A pair, if the shapes say nothing against it."""
    shape = state.shape
    if shape is not None and shape != weight.entry.shape:
        return Pair(
            state, None,
            f"{quoted(weight.entry.name)} has shape {list(weight.entry.shape)}, its state "
            f"{list(shape)}",
        )  # fmt: skip
    return Pair(state, weight)


# -- by order --------------------------------------------------------------------------------------


def _by_order(optimizer: OptimizerState, weights: Sequence[Weight]) -> list[Pair]:
    """The parameters of all groups, of which each has the order of the model."""
    tried: list[str] = []
    for models in _models(weights):
        found = [_in_turn(optimizer, model) for model in models]
        fitting = [each for each in found if isinstance(each, dict)]
        if fitting:
            return [
                _only(
                    state,
                    [each[key] for each in fitting if key in each],
                    "its group does not name it",
                )
                for key, state in optimizer.parameters.items()
            ]
        tried += [each for each in found if isinstance(each, str)]
    return [Pair(state, None, tried[0]) for state in optimizer.parameters.values()]


def _models(weights: Sequence[Weight]) -> Iterable[list[list[Weight]]]:
    """What may be all parameters of a model in their order; those that are as likely together."""
    parts: dict[str, list[Weight]] = {"": []}
    seen: set[tuple[str, object]] = set()
    for weight in weights:
        entry = weight.entry
        start = entry.name.partition(".")[0]
        if entry.name.rpartition(".")[2] in _BUFFERS:
            continue
        place = entry.layout if entry.count else None
        shared = None if place is None else (place.storage, place.offset, entry.shape)
        for name in ("", start):
            # of parameters that are tied, an optimizer has one
            if shared is not None and (name, shared) in seen:
                continue
            seen.add((name, shared))
            parts.setdefault(name, []).append(weight)
    return (
        [parts[name] for name in names] for _, names in groupby(sorted(parts, key=_rank), key=_rank)
    )


def _in_turn(optimizer: OptimizerState, model: Sequence[Weight]) -> dict[str, Weight] | str:
    """The weight of each parameter by its key; or why that cannot be told."""
    groups = [list(keys) for keys in optimizer.groups]
    count = sum(map(len, groups))
    if count != len(model):
        return (
            f"the optimizer has no names (those of `named_parameters()` have), and {count:,} "
            f"parameters where the model has {len(model):,} tensors"
        )
    at = [0] * len(groups)
    found: dict[str, Weight] = {}
    for weight in model:
        fits = [
            number
            for number, keys in enumerate(groups)
            if at[number] < len(keys) and _may_be(optimizer, keys[at[number]], weight)
        ]
        if len(fits) != 1:
            how = "no" if not fits else "more than one"
            return (
                f"the optimizer has no names, and at {quoted(weight.entry.name)} {how} group has a "
                "parameter of its shape next"
            )
        (number,) = fits
        found[groups[number][at[number]]] = weight
        at[number] += 1
    return found


def _may_be(optimizer: OptimizerState, key: str, weight: Weight) -> bool:
    state = optimizer.parameters.get(key)
    shape = None if state is None else state.shape
    return shape is None or shape == weight.entry.shape


# -- by shape --------------------------------------------------------------------------------------


def _by_shape(states: Sequence[ParameterState], weights: Sequence[Weight]) -> list[Pair]:
    wanted = Counter(state.shape for state in states)
    held: dict[tuple[int, ...], list[Weight]] = {}
    for weight in weights:
        held.setdefault(weight.entry.shape, []).append(weight)
    pairs = []
    for state in states:
        shape = state.shape
        found = held.get(shape, []) if shape is not None else []
        if len(found) == wanted[shape] == 1:
            pairs.append(Pair(state, found[0]))
        elif found:
            pairs.append(
                Pair(
                    state, None,
                    "the optimizer has no names, the weights' file has not their order, and "
                    f"several have the shape {list(shape or ())}: `model` may name the weights as "
                    "torch saved them",
                )
            )  # fmt: skip
        else:
            pairs.append(Pair(state, None, f"no weight has its shape {list(shape or ())}"))
    return pairs
