"""Who casts: one class and one row per backend, codes in and codes out.

This module loads no library: what a backend casts with loads when it first casts. So the command
line can name the backends without waiting for torch, and a library may be missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.version import __version__
from fpx.words import listed, quoted, reason

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fpx.tensors.dtypes import Origin

CONTIGUOUS, STRIDED, SCALAR = "contiguous", "strided", "scalar"


LAYOUTS = (CONTIGUOUS, STRIDED, SCALAR)
"""How the elements of a cast lie: together, with gaps, or each cast alone."""


class Backend(ABC):
    """Who casts: a library, or correct rounding itself.

    Attributes:
        name: its import name, or `exact`; the key of its row.
        layouts: of LAYOUTS, those that can change what it does.
        compiles: whether there is a compiled cast beside the plain one.
        any_device: whether it casts on every device of torch; if not, on the CPU alone.
        elementwise: whether the code of an element depends on that element alone.
    """

    name: ClassVar[str]
    layouts: ClassVar[tuple[str, ...]] = LAYOUTS
    compiles: ClassVar[bool] = False
    any_device: ClassVar[bool] = False
    elementwise: ClassVar[bool] = True

    def __reduce__(self) -> tuple[Callable[[str], Backend], tuple[str]]:
        """A row of the table is that row in every process."""
        return _row, (self.name,)

    @property
    @abstractmethod
    def version(self) -> str:
        """Its version."""

    @abstractmethod
    def cast(
        self,
        codes: Tensor,
        origin: Origin,
        target: FormatSpec,
        layout: str = CONTIGUOUS,
        compiled: bool = False,
    ) -> Tensor:
        """The target's codes of the origin's codes.

        Args:
            codes: 1-D, in the origin's `container`.
            origin, target: of the cast, up to 64 bits.
            layout: one of `layouts`.
            compiled: by the backend's compiler; only where it `compiles`.

        Returns:
            As many codes, in the target's `container`, on the same device.

        Raises:
            UnavailableError: the backend does not offer this cast.
        """

    def results(self, x: Tensor, origin: Origin, target: FormatSpec) -> Tensor:
        """The numbers after the cast: of torch's dtype of the target; of float64 if it has none.

        Args:
            x: 1-D, of torch's dtype of the origin.
            origin, target: of the cast, as of `cast`.

        Raises:
            UnavailableError: the backend does not offer this cast.
        """
        from fpx.casts.values import numbers
        from fpx.tensors.dtypes import container

        return numbers(self.cast(x.view(container(origin)), origin, target), target)

    def offers(
        self, origin: Origin, target: FormatSpec, device: torch.device | None = None
    ) -> bool:
        """Whether it casts so at all, on that device (the CPU): by trying."""
        import torch

        from fpx.tensors.dtypes import container

        if max(origin.bits, target.bits) > 64:  # no tensor holds their codes
            return False
        try:
            self.cast(torch.zeros(1, dtype=container(origin), device=device), origin, target)
        except UnavailableError:
            return False
        return True

    @property
    def on_cpu(self) -> str:
        """The name of its casts on the CPU, as what others are compared with."""
        return self.name

    def check(self, layout: str, compiled: bool) -> None:
        """Refuses what would change nothing.

        Raises:
            InputError: a layout that the backend does not have, or nothing to compile.
        """
        if layout not in LAYOUTS:
            raise InputError(f"`layout` must be one of {listed(LAYOUTS)}, not {quoted(layout)}")
        if layout not in self.layouts:
            raise InputError(
                f'`layout="{layout}"` changes nothing in the casts of {self.name}: leave it out'
            )
        if compiled and not self.compiles:
            able = listed(b.name for b in BACKENDS.values() if b.compiles)
            raise InputError(f"`compiled=True` is for {able}: {self.name} has nothing to compile")

    def _refusal(self, origin: Origin, target: FormatSpec) -> UnavailableError:
        return UnavailableError(
            f"{self.name} {self.version} does not cast {origin.name} to {target.name}"
        )


class TorchBackend(Backend):
    """torch's own cast, `Tensor.to(dtype)`."""

    name = "torch"
    compiles = True
    any_device = True

    def __init__(self) -> None:
        self._compiled: dict[tuple[torch.dtype, torch.dtype], Callable[[Tensor], Tensor]] = {}

    @property
    def on_cpu(self) -> str:
        """As `Backend.on_cpu`."""
        return "cpu"

    @property
    def version(self) -> str:
        """As `Backend.version`."""
        import torch

        return str(torch.__version__)

    def cast(
        self,
        codes: Tensor,
        origin: Origin,
        target: FormatSpec,
        layout: str = CONTIGUOUS,
        compiled: bool = False,
    ) -> Tensor:
        """As `Backend.cast`."""
        import torch

        from fpx.tensors.dtypes import cast_dtype, container

        held, wanted = cast_dtype(origin), cast_dtype(target)
        to = self._compiled_cast(held, wanted) if compiled else lambda x: x.to(wanted)
        x = _laid_out(codes, layout).view(held)
        try:
            if layout == SCALAR and len(x):
                q = torch.stack([to(element) for element in x])
            else:
                q = to(x)
        except (NotImplementedError, TypeError):  # how torch says that it has no such kernel
            raise self._refusal(origin, target) from None
        return q.view(container(target))

    def results(self, x: Tensor, origin: Origin, target: FormatSpec) -> Tensor:
        """As `Backend.results`, without detours: it is called for every block of a tensor."""
        from fpx.tensors.dtypes import cast_dtype

        try:
            return x.to(cast_dtype(target))
        except (NotImplementedError, TypeError):
            raise self._refusal(origin, target) from None

    def _compiled_cast(self, held: torch.dtype, wanted: torch.dtype) -> Callable[[Tensor], Tensor]:
        """The cast that torch.compile makes from one dtype to another, made once.

        Raises:
            UnavailableError: (when it first casts) torch.compile fails, for want of a C++ compiler
                perhaps.
        """
        if (held, wanted) not in self._compiled:
            import torch
            from torch._dynamo.exc import TorchDynamoException

            def to(x: Tensor) -> Tensor:
                return x.to(wanted)

            # torch.compile counts what it compiled by code object, and past eight dtypes it gives
            # up without a word: so every pair has a code object of its own
            to.__code__ = to.__code__.replace()
            made = torch.compile(to, dynamic=True, fullgraph=True)

            def cast(x: Tensor) -> Tensor:
                try:
                    return made(x)
                except TorchDynamoException as error:
                    raise UnavailableError(
                        f"torch.compile makes no cast from {held} to {wanted}: {reason(error)}"
                    ) from None

            self._compiled[held, wanted] = cast
        return self._compiled[held, wanted]


def _laid_out(codes: Tensor, layout: str) -> Tensor:
    if layout != STRIDED:
        return codes
    gaps = codes.new_empty(2 * codes.numel())[::2]
    return gaps.copy_(codes)


class _ArrayBackend(Backend):
    """`ndarray.astype`."""

    _adds_types: ClassVar[bool]
    """Whether the library's casts are those from or to a type that numpy itself lacks."""

    def cast(
        self,
        codes: Tensor,
        origin: Origin,
        target: FormatSpec,
        layout: str = CONTIGUOUS,
        compiled: bool = False,
    ) -> Tensor:
        """As `Backend.cast`."""
        import numpy as np
        import torch

        from fpx.tensors.dtypes import array_dtype, container, dtype_name

        held, wanted = array_dtype(origin), array_dtype(target)
        added = not (_is_numpys_own(origin) and _is_numpys_own(target))
        if held is None or wanted is None or added != self._adds_types:
            raise self._refusal(origin, target)
        x = _laid_out(codes.cpu(), layout).numpy().view(held)
        try:
            with np.errstate(all="ignore"):
                if layout == SCALAR:
                    q = np.array([x[i].astype(wanted) for i in range(len(x))], dtype=wanted)
                else:
                    q = x.astype(wanted)
        except TypeError:  # not all of ml_dtypes' types cast to each other
            raise self._refusal(origin, target) from None
        held_in = dtype_name(container(target))
        return torch.from_numpy(q.view(held_in)).to(codes.device)


def _is_numpys_own(type_: Origin) -> bool:
    return not isinstance(type_, FormatSpec) or type_.numpy is not None


class NumpyBackend(_ArrayBackend):
    """numpy's casts between its own types."""

    name = "numpy"
    _adds_types = False

    @property
    def version(self) -> str:
        """As `Backend.version`."""
        import numpy as np

        return np.__version__


class MlDtypesBackend(_ArrayBackend):
    """numpy's casts from and to the types that ml_dtypes adds to it."""

    name = "ml_dtypes"
    _adds_types = True

    @property
    def version(self) -> str:
        """As `Backend.version`."""
        import ml_dtypes

        return ml_dtypes.__version__


class ExactBackend(Backend):
    """Correct rounding: nearly every pair of formats of up to 64 bits, on every device.

    It casts by integer arithmetic, which depends on no layout, and there is nothing to compile.
    """

    name = "exact"
    version = __version__
    layouts = (CONTIGUOUS,)
    any_device = True

    def cast(
        self,
        codes: Tensor,
        origin: Origin,
        target: FormatSpec,
        layout: str = CONTIGUOUS,
        compiled: bool = False,
    ) -> Tensor:
        """As `Backend.cast`."""
        from fpx.casts.rounding import round_codes

        return round_codes(codes, origin, target)


EXACT = ExactBackend()


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        backend.name: backend
        for backend in (TorchBackend(), NumpyBackend(), MlDtypesBackend(), EXACT)
    }
)
"""Every backend by name."""


REFERENCES: Mapping[str, Backend] = MappingProxyType(
    {backend.on_cpu: backend for backend in (EXACT, *BACKENDS.values())}
)
"""What casts can be compared with: correct rounding, or what a library gives on the CPU."""


def _row(name: str) -> Backend:
    return BACKENDS[name]
