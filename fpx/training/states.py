"""Optimizers' states in a checkpoint: which tensors and numbers belong to which parameter.

`Optimizer.state_dict()` has `state.KEY.exp_avg` and `param_groups.N.lr`, KEY a number that
`param_groups.N.params` has too, or a parameter's name; flattened, as distributed checkpoints may
have it, `param_groups.NAME.lr`. A checkpoint nests that as it likes: `optimizer.`,
`optimizer_states.0.`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import float64

from fpx.tensors.entry import Scalar, Source, TensorEntry

_STATE, _GROUPS = "state.", "param_groups."
_MOMENTS = ("exp_avg", "momentum_buffer")  # one of them tells a state where no group does
_LONGEST_KEY = 1 << 60  # numbers of parameters


@dataclass
class ParameterState:
    """What an optimizer keeps of one parameter.

    Attributes:
        key: its number or name in the optimizer's state.
        tensors, numbers: what it keeps, by name: `exp_avg`, `step`.
        settings: of its group: `lr`, `betas.0`.
        name: the parameter's, where the optimizer says it.
    """

    key: str
    tensors: dict[str, TensorEntry] = field(default_factory=dict)
    numbers: dict[str, Scalar] = field(default_factory=dict)
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    name: str | None = None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """That of its moments; None where it has none."""
        for slot in _MOMENTS:
            if slot in self.tensors:
                return self.tensors[slot].shape
        return None


@dataclass
class OptimizerState:
    """One optimizer of a checkpoint.

    Attributes:
        source: the source that it is in.
        root: what its names begin with.
        parameters: those that it keeps something of, by their keys.
        groups: the keys of all parameters of each group, in their order; empty where the
            checkpoint has names alone.
    """

    source: Source
    root: str
    parameters: dict[str, ParameterState] = field(default_factory=dict)
    groups: list[list[str]] = field(default_factory=list)

    @property
    def entries(self) -> Iterator[TensorEntry]:
        """Its tensors, those of its settings too."""
        start = (f"{self.root}{_STATE}", f"{self.root}{_GROUPS}")
        return (entry for entry in self.source.entries if entry.name.startswith(start))


def optimizers_in(source: Source) -> list[OptimizerState]:
    """The optimizers of a source, in the order of their names in it.

    Raises:
        InputError: the numbers beside its tensors cannot be read.
    """
    if not any(f".{_STATE}" in f".{entry.name}" for entry in source.entries):
        return []
    scalars = {**source.scalars()}
    for entry in source.entries:  # a learning rate may be a tensor
        if f".{_GROUPS}" in f".{entry.name}" and entry.count == 1:
            scalars[entry.name] = number_in(entry)
    roots = {name[:at] for name in scalars if (at := f".{name}".find(f".{_GROUPS}")) >= 0}
    found: dict[str, OptimizerState] = {}

    def parameter(name: str) -> tuple[ParameterState, str] | None:
        """Whose state a name is of, and what it is called in it."""
        root = _root(name, roots)
        if root is None:
            return None
        key, _, slot = name[len(root) + len(_STATE) :].rpartition(".")
        if root not in found:
            found[root] = OptimizerState(source, root)
        return found[root].parameters.setdefault(key, ParameterState(key)), slot

    for entry in source.entries:
        if (place := parameter(entry.name)) is not None:
            place[0].tensors[place[1]] = entry
    for name, value in scalars.items():
        root = _root(name, roots)
        if root in found and (place := parameter(name)) is not None:
            place[0].numbers[place[1]] = value
    for root, optimizer in found.items():
        start = len(root) + len(_GROUPS)
        _set_groups(
            optimizer,
            {k[start:]: v for k, v in scalars.items() if k.startswith(f"{root}{_GROUPS}")},
        )
    return list(found.values())


def number_in(entry: TensorEntry) -> int | float:
    """The number in a tensor of one element.

    Raises:
        InputError: damage that shows only in its data.
    """
    (block,) = entry.blocks(1)
    found: int | float = block.to(float64).item() if block.is_floating_point() else block.item()
    return found


def _root(name: str, roots: Iterable[str]) -> str | None:
    """What of a name is before the optimizer's `state.`; None if it is not of a state."""
    for at in _places(name):
        if name[:at] in roots:
            return name[:at]
    if roots or name.rpartition(".")[2] not in _MOMENTS:
        return None
    return next((name[:at] for at in _places(name)), None)


def _places(name: str) -> Iterator[int]:
    """Where `state.` begins in a name."""
    at = f".{name}".find(f".{_STATE}")
    while at >= 0:
        yield at
        at = f".{name}".find(f".{_STATE}", at + 1)


def _set_groups(optimizer: OptimizerState, scalars: Mapping[str, Scalar]) -> None:
    """Gives parameters the settings of their groups, and the names that those tell.

    Args:
        optimizer: its `groups` are set too.
        scalars: what is below `param_groups.`, by the rest of the name.
    """
    settings: dict[str, dict[str, Scalar]] = {}
    members: dict[str, dict[int, Scalar]] = {}
    names: dict[str, dict[int, Scalar]] = {}
    for path, value in scalars.items():
        group, _, rest = path.partition(".")
        what, _, place = rest.partition(".")
        if what in ("params", "param_names") and _is_place(place):
            held = members if what == "params" else names
            held.setdefault(group, {})[int(place)] = value
        else:
            settings.setdefault(group, {})[rest] = value
    if not members:
        _set_flat(optimizer, scalars)
        return
    for group, numbered in members.items():
        keys = [_key(value) for _, value in sorted(numbered.items())]
        optimizer.groups.append(keys)
        told = names.get(group, {})
        for at, key in enumerate(keys):
            held_by = optimizer.parameters.get(key)
            if held_by is not None:
                name = told.get(at)
                held_by.settings = settings.get(group, {})
                held_by.name = name if isinstance(name, str) else None


def _set_flat(optimizer: OptimizerState, scalars: Mapping[str, Scalar]) -> None:
    """The same where settings are told of each parameter, below its name."""
    own: dict[str, dict[str, Scalar]] = {key: {} for key in optimizer.parameters}
    for path, value in scalars.items():
        at = path.find(".")
        while at >= 0:
            if path[:at] in own:
                own[path[:at]][path[at + 1 :]] = value
                break
            at = path.find(".", at + 1)
    for key, settings in own.items():
        optimizer.parameters[key].settings = settings


def _is_place(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _key(value: Scalar) -> str:
    """A member of a group, as the state calls it."""
    if isinstance(value, int) and abs(value) >= _LONGEST_KEY:
        return ""
    return str(value)
