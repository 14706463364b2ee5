"""An optimizer by what its state and its group of parameters say: which it is, and its numbers."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from fractions import Fraction

from fpx.errors import InputError
from fpx.tensors.entry import Scalar
from fpx.training.optimizers import SGD, Adam, AdamW, Optimizer
from fpx.words import listed, quoted

NAMES = ("adamw", "adam", "sgd")
"""The optimizers that are known, as options call them."""

_ADAM = {"exp_avg", "exp_avg_sq"}
_SGD = {"momentum_buffer"}
_KNOWN = _ADAM | _SGD | {"max_exp_avg_sq", "step"}
_SMALLEST, _LARGEST = 1e-100, 1e100  # of a setting, so that products of two stay far from the ends
_MOST_STEPS = 1 << 53


def optimizer_of(
    slots: Collection[str], settings: Mapping[str, Scalar], step: Scalar, chosen: str | None = None
) -> Optimizer:
    """The optimizer of a parameter.

    Args:
        slots: names of the tensors in the parameter's state.
        settings: of its group; of nested ones, as in `betas.0`.
        step: how many steps were made; not needed for SGD.
        chosen: one of NAMES, where the user says which it is.

    Raises:
        InputError: it is none of NAMES, nothing tells which, or a setting is missing or no number
            that it can be.
    """
    found = set(slots)
    if found - _KNOWN:
        raise InputError(
            f"its state has {listed(map(quoted, sorted(found - _KNOWN)), 3)}: fpx knows the "
            "updates of Adam, AdamW and SGD alone"
        )
    if found >= _SGD:
        kinds = {"sgd"}
    elif found >= _ADAM:
        kinds = _which_adam(settings)
    else:
        raise InputError("its state has no moments")
    if chosen is not None and (chosen == "sgd") != ("sgd" in kinds):
        raise InputError(f"its state is not that of {chosen} (`optimizer`)")
    if chosen is None and len(kinds) > 1:
        raise InputError(
            "nothing tells whether weights decay as with Adam or AdamW: choose with `optimizer`"
        )
    kind = chosen or kinds.pop()
    lr = _number(settings, "lr")
    if kind == "sgd":
        return SGD(lr, _number(settings, "momentum", below=1))
    betas = (_number(settings, "betas.0", below=1), _number(settings, "betas.1", below=1))
    eps = _number(settings, "eps")
    amsgrad = settings.get("amsgrad") is True
    if amsgrad and "max_exp_avg_sq" not in found:
        raise InputError("its group has amsgrad, and its state no max_exp_avg_sq")
    if kind == "adam":
        decay = _number(settings, "weight_decay") if "weight_decay" in settings else Fraction(0)
        return Adam(lr, betas, eps, _count(step), decay, amsgrad)
    return AdamW(lr, betas, eps, _count(step), _number(settings, "weight_decay"), amsgrad)


def _which_adam(settings: Mapping[str, Scalar]) -> set[str]:
    """Adam, AdamW, or both where nothing tells and it makes a difference.

    RAdam and NAdam have the same moments, but not the setting `amsgrad`.
    """
    decoupled = settings.get("decoupled_weight_decay")
    if "amsgrad" in settings:
        if isinstance(decoupled, bool):
            return {"adamw" if decoupled else "adam"}
        if settings.get("weight_decay") == 0:
            return {"adam"}
    return {"adam", "adamw"}


def _number(settings: Mapping[str, Scalar], name: str, below: float = math.inf) -> Fraction:
    """A setting.

    Raises:
        InputError: it is missing, or no number from 0 to that bound.
    """
    if name not in settings:
        raise InputError(f"its group has no {name}")
    value = settings[name]
    if isinstance(value, (bool, str)) or value is None or not 0 <= value < below:
        bound = "of 0 or more" if below == math.inf else f"from 0 to below {below:g}"
        raise InputError(f"its {name} is {_shown(value)}, not a number {bound}")
    if value and not _SMALLEST <= value <= _LARGEST:
        raise InputError(
            f"its {name} is {_shown(value)}: fpx computes with 0 and what is from {_SMALLEST:g} to "
            f"{_LARGEST:g}"
        )
    return Fraction(value)


def _count(step: Scalar) -> int:
    """The number of steps.

    Raises:
        InputError: it is missing, no whole number, or none that counts steps.
    """
    if isinstance(step, (bool, str)) or step is None or not 0 <= step < _MOST_STEPS:
        raise InputError(f"its step is {_shown(step)}, not a number of steps")
    if step != int(step):
        raise InputError(f"its step is {_shown(step)}, not a whole number")
    if not step:
        raise InputError("its step is 0: no update was made yet")
    return int(step)


def _shown(value: Scalar) -> str:
    """A setting in a message, however long it is."""
    if isinstance(value, int) and abs(value) >= _MOST_STEPS:
        return "a very long number"
    return quoted(value) if isinstance(value, str) else f"{value}"
