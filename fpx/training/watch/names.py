"""What modules and parameters are called, and which of them are watched."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from fpx.errors import InputError
from fpx.patterns import REGULAR, matcher
from fpx.words import did_you_mean

_WRAPPERS = ("_orig_mod", "module")  # of torch.compile; of DistributedDataParallel and the like


def bare(model: nn.Module) -> nn.Module:
    """The model inside torch.compile's and data parallelism's wrappers, whose names are used."""
    while True:
        inside = next((getattr(model, n, None) for n in _WRAPPERS if n in model._modules), None)
        if not isinstance(inside, nn.Module) or len(model._modules) > 1 or _has_own(model):
            return model
        model = inside


def _has_own(model: nn.Module) -> bool:
    return any(True for _ in model.parameters(recurse=False))


class Names:
    """The modules and parameters of a model that are watched, by name.

    Args:
        model: without wrappers.
        include: patterns of `fpx.patterns` of which a name must match one; none means every name.
        exclude: patterns of which it must match none. Both mean a parameter by its module's name
            too.

    Attributes:
        modules: the name of each module; the model itself is called by its class.
        parameters: the name of each parameter, by its id.

    Raises:
        InputError: no such pattern, or nothing is left.
    """

    def __init__(
        self, model: nn.Module, include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> None:
        wanted, unwanted = [list(map(matcher, patterns)) for patterns in (include, exclude)]
        whole = f"({type(model).__name__})"

        def chosen(*names: str) -> bool:
            """Whether one of the names of something is wanted, and none unwanted."""
            named = [bool(test(name)) for test in wanted for name in names]
            return (any(named) or not wanted) and not any(
                test(name) for test in unwanted for name in names
            )

        modules = {module: name or whole for name, module in model.named_modules()}
        parameters = dict(model.named_parameters())
        self.modules = {module: name for module, name in modules.items() if chosen(name)}
        self.parameters = {
            id(parameter): name
            for name, parameter in parameters.items()
            if chosen(name, name.rpartition(".")[0] or whole)
        }
        self._kept: list[Tensor] = [*parameters.values()]  # so that ids stay theirs
        if not self.modules and not self.parameters:
            every = [*modules.values(), *parameters]
            globs = (pattern for pattern in include if not pattern.startswith(REGULAR))
            meant = next(filter(None, (did_you_mean(glob, every) for glob in globs)), "")
            raise InputError(
                f"none of {len(modules):,} modules is left: check `include` and `exclude`{meant}"
            )
