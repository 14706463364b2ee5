"""One cast of a tensor: who casts it, and what is known so far of what that did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from torch import Tensor

from fpx.casts.backends import BACKENDS, EXACT, Backend
from fpx.casts.device import Device
from fpx.casts.values import numbers
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.measure.block import SourceBlock
from fpx.measure.measurement import Measurer, SegmentMeasurer
from fpx.measure.metrics import measure_mismatches
from fpx.measure.stats import CastStats, Locate
from fpx.report.cast_row import Location
from fpx.tensors.dtypes import Origin, container
from fpx.tensors.entry import TensorEntry

_FEW = 32
"""Elements of a segment that become Python's numbers all at once sooner than a few one by one."""


Where = Callable[[int], tuple[str, tuple[int, ...]]]
"""Position in a block -> (tensor, multi-index)."""


def where_in(entry: TensorEntry, position: Callable[[int], int] = int) -> Where:
    """Where elements of a block are, given their positions in the tensor."""
    return lambda at: (entry.name, entry.index(position(at)))


class Choice:
    """Who casts: always the one backend, or torch, and what it does not cast, exact rounding.

    Args:
        backend: the one backend, or None.
        device: where the casts run.
    """

    def __init__(self, backend: Backend | None, device: Device) -> None:
        self._backend = backend
        self._device = device
        self.of = cache(self._of)  # a checkpoint asks the same of every tensor

    def _of(self, origin: Origin, target: FormatSpec) -> Backend:
        """Who casts this.

        Raises:
            InputError: float64, in which casts are measured, lacks values of the target.
            UnavailableError: the one backend does not cast this.
        """
        if not FORMATS["float64"].holds(target):
            raise InputError(
                f"{target.name} has values that float64 lacks, in which errors are measured: "
                "choose a narrower target"
            )
        if self._backend is None:
            usual = BACKENDS["torch"]
            return usual if self._offers(usual, origin, target) else EXACT
        if not self._backend.any_device and not self._device.is_cpu:
            raise UnavailableError(
                f"{self._backend.name} casts on the CPU alone, not on {self._device.torch}: leave "
                "`device` out"
            )
        if not self._offers(self._backend, origin, target):
            raise UnavailableError(
                f"{self._backend.name} {self._backend.version} does not cast {origin.name} to "
                f'{target.name}: leave `backend` out, or take `backend="{EXACT.name}"`'
            )
        return self._backend

    def _offers(self, backend: Backend, origin: Origin, target: FormatSpec) -> bool:
        return backend.offers(origin, target, self._device.torch)


@dataclass
class Casting:
    """One cast of a tensor and its statistics.

    Attributes:
        backend: who casts.
        origin, target: from what, to what.
        stats: what the blocks so far showed.
    """

    backend: Backend
    origin: Origin
    target: FormatSpec
    stats: CastStats = field(default_factory=CastStats)

    @property
    def elementwise(self) -> bool:
        """Whether the code of an element depends on that element alone."""
        return self.backend.elementwise

    def codes(self, x: Tensor, start: int = 0) -> Tensor:
        """The codes that it makes of numbers: 1-D, in the target's `container`.

        Args:
            x: the numbers, 1-D.
            start: position of the first in the tensor.
        """
        return self.backend.cast(x.view(container(self.origin)), self.origin, self.target)

    def results(self, x: Tensor, start: int = 0) -> Tensor:
        """The numbers that it makes of numbers, as `Backend.results` has them; see `codes`."""
        return self.backend.results(x, self.origin, self.target)

    def take(
        self, source: SourceBlock, q: Tensor, where: Where, measure: Measurer, start: int = 0
    ) -> None:
        """Takes in what it made of a block."""
        self.measured(source, q, where, measure, start)()

    def measured(
        self, source: SourceBlock, q: Tensor, where: Where, measure: Measurer, start: int = 0
    ) -> Callable[[], None]:
        """Measures what it made of a block, in any thread.

        Args:
            source: the block.
            q: the `results`.
            where: where elements are.
            measure: who measures.
            start: position of the block's first element in the tensor.

        Returns:
            What takes that in, to be called in the order of blocks.
        """
        found = measure(source, q, self.target, self.stats.known)
        locate = _locator(source.x, q, where)
        # now, as the block may be written over before it is taken in
        places = {at: locate(at) for at in found.places}
        return lambda: self.stats.take(found, places.__getitem__)

    def take_beside_cpu(
        self, source: SourceBlock, on_cpu: Tensor, where: Where, measure: Measurer, start: int
    ) -> None:
        """Takes in what a device made of a block, and how its codes differ from the CPU's.

        Args:
            source: the block on the device.
            on_cpu: the same numbers on the CPU.
            where, measure, start: as of `measured`.
        """
        codes = self.codes(source.x, start)
        q = numbers(codes, self.target)
        self.take(source, q, where, measure, start)
        found = measure_mismatches(codes.cpu(), self.codes(on_cpu, start), self.target)
        self.stats.take(found, _locator(on_cpu, q, where))


def take_apart(
    casts: Sequence[Casting],
    x: Tensor,
    ends: Sequence[int],
    wheres: Sequence[Where],
    measure: SegmentMeasurer,
) -> None:
    """Takes in what the same cast made of several tensors, which lie in one block.

    Args:
        casts: of each tensor.
        x: all of them, one after the other.
        ends: where each ends; none is empty.
        wheres: where its elements are.
    """
    q = casts[0].results(x)
    before, after = _elements(x, len(ends)), _elements(q, len(ends))
    found = measure(x, q, ends, casts[0].target)
    for cast, each, start, where in zip(casts, found, [0, *ends[:-1]], wheres, strict=True):
        cast.stats.take(
            each,
            lambda at: Location(*where(at), before(start + at), after(start + at)),  # noqa: B023
        )


def _locator(x: Tensor, q: Tensor, where: Where) -> Locate:
    before, after = _elements(x), _elements(q)
    return lambda at: Location(*where(at), before(at), after(at))


def _elements(x: Tensor, segments: int = 1) -> Callable[[int], float]:
    """Position -> element, where a few are wanted of each segment."""
    if len(x) > _FEW * segments:
        return lambda at: x[at].item()
    return x.tolist().__getitem__
