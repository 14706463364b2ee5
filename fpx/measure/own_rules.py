"""What fpx's own encoder makes of a tensor in the format that another one is stored in."""

from __future__ import annotations

from fpx.casts.device import find_device
from fpx.core.scaled_names import with_rule
from fpx.core.spec import FormatSpec
from fpx.core.variants import rules_for
from fpx.measure.derived import metrics_of
from fpx.measure.scaled_casting import ScaledCasting
from fpx.measure.scaled_reading import scale_entry
from fpx.report.diff_row import OwnRule
from fpx.tensors.dtypes import origin_of
from fpx.tensors.entry import TensorEntry
from fpx.tensors.progress import Progress


class OwnRules:
    """The casts of a tensor to the scaled format of another one, by every rule for its scales.

    Args:
        first: the tensor.
        second: the other one, of that shape.
    """

    def __init__(self, first: TensorEntry, second: TensorEntry) -> None:
        self._entry = first
        self._device = find_device("cpu")
        self._casts: list[ScaledCasting] = []
        target = None if second.quantised is None else second.quantised.format
        origin = origin_of(first.dtype)
        if target is not None and isinstance(origin, FormatSpec) and first.shape == second.shape:
            self._casts = [
                ScaledCasting(origin, with_rule(target, rule), first.shape, self._device)
                for rule in rules_for(target)
            ]

    @property
    def count(self) -> int:
        """Elements that are read, each as often as it is."""
        passes = bool(self._casts) + any(cast.needs_survey for cast in self._casts)
        return passes * self._entry.count

    def found(self, progress: Progress) -> tuple[OwnRule, ...]:
        """What each rule gives; none where fpx has no such format.

        Raises:
            InputError: damage that shows only in the data.
        """
        if self._casts:
            scale_entry(self._entry, self._casts, self._device, progress)
        return tuple(map(_rule, self._casts))


def _rule(cast: ScaledCasting) -> OwnRule:
    sqnr = metrics_of(cast.stats, cast.target, on_device=False)["sqnr_db"]
    return OwnRule(cast.target.encoding.rule.value, cast.target.name, sqnr)
