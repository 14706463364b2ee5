"""fpx shows what a floating-point format does to numbers: exact bits, exact casts, real tensors.

    >>> import fpx
    >>> fpx.decode("3.14", "bf16").value
    Fraction(201, 64)
    >>> hex(fpx.encode("65519.999999999999", "fp16").code)
    '0x7bff'
    >>> fpx.format_info("bfloat16").max_finite == fpx.decode("0x7f7f", "bf16").value
    True

`fpx.cast_compare(tensor, to=["fp16"])` measures what a cast does to a tensor, an array or a file;
it is the only name here that loads torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs, to_literal
from fpx.core.names import find_format
from fpx.core.numbers import Literal
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.errors import FpxError, InputError
from fpx.report.base import Renderer, Report, draw_with
from fpx.report.decode import DecodeReport
from fpx.report.encode import EncodeReport
from fpx.version import __version__
from fpx.words import quoted

if TYPE_CHECKING:
    from fpx.report.cast_compare import CastReport
    from fpx.report.ranges import FormatReport

_Choice = TypeVar("_Choice", bound=Enum)

__all__ = [
    "FORMATS",
    "DecodeReport",
    "EncodeReport",
    "FormatSpec",
    "FpxError",
    "Overflow",
    "ReadAs",
    "Report",
    "Rounding",
    "__version__",
    "cast_compare",
    "decode",
    "encode",
    "find_format",
    "format_info",
]


def decode(
    value: object,
    dtype: str | FormatSpec = "float32",
    *,
    rounding: Rounding | str = Rounding.TIES_TO_EVEN,
    overflow: Overflow | str = Overflow.IEEE,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> DecodeReport:
    """What `dtype` makes of a number or a code: bits, exact value, error, neighbours.

    Args:
        value: a literal (`"3.14"`, `"0x1.8p3"`, `"1/3"`, `"inf"`; `"0x4049"` is a code), or an
            int, float, `Fraction`, `Decimal` or numpy scalar, taken at its exact value.
        dtype: a format or its name.
        rounding, overflow, read_as: see those classes; their values as strings work too.

    Raises:
        FpxError: no such format, no such literal, or the format cannot hold it.
    """
    return DecodeReport.of(*_arguments(value, dtype, rounding, overflow, read_as))


def encode(
    value: object,
    dtype: str | FormatSpec = "float32",
    *,
    rounding: Rounding | str = Rounding.TIES_TO_EVEN,
    overflow: Overflow | str = Overflow.IEEE,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> EncodeReport:
    """The code of a number in `dtype`, in the report's `code`; arguments as for `decode`.

    Raises:
        FpxError: as `decode`.
    """
    return EncodeReport.of(*_arguments(value, dtype, rounding, overflow, read_as))


def format_info(dtype: str | FormatSpec) -> FormatReport:
    """The constants of a format, exact.

    Raises:
        FpxError: no such format.
    """
    from fpx.report.ranges import FormatReport

    return FormatReport(find_format(dtype))


def cast_compare(
    source: Any = (),
    to: str | FormatSpec | Iterable[str | FormatSpec] = ("float16", "bfloat16"),
    *,
    from_: str | FormatSpec = "float32",
    device: str = "cpu",
    size: int = 1 << 20,
    seed: int = 0,
) -> CastReport:
    """What torch's cast to each target loses of a tensor, an array, a file or a distribution.

    Args:
        source: a torch tensor, a numpy array, the path of a tensor file, the name of a distribution
            such as `"normal"`, or a list of those; none means every distribution.
        to: target format or formats.
        from_: dtype in which distributions are drawn.
        device: `cpu`, `cuda`, `cuda:N` or `auto`.
        size, seed: of the random distributions.

    Raises:
        FpxError: the source cannot be read, or the device is not there.
    """
    from fpx.measure.cast_compare import cast_compare as compare

    sources = list(source) if isinstance(source, (list, tuple)) else [source]
    targets = [to] if isinstance(to, (str, FormatSpec)) else to
    return compare(
        sources,
        [find_format(name) for name in targets],
        from_=find_format(from_),
        device=device,
        size=size,
        seed=seed,
    )


def _arguments(
    value: object,
    dtype: str | FormatSpec,
    rounding: Rounding | str,
    overflow: Overflow | str,
    read_as: ReadAs | str,
) -> tuple[Literal, FormatSpec, Rounding, Overflow]:
    literal = to_literal(value, _choice(ReadAs, read_as))
    return literal, find_format(dtype), _choice(Rounding, rounding), _choice(Overflow, overflow)


def _choice(kind: type[_Choice], value: _Choice | str) -> _Choice:
    try:
        return kind(value)
    except ValueError:
        names = ", ".join(str(member.value) for member in kind)
        raise InputError(f"{quoted(str(value))} is not one of {names}") from None


def _renderer() -> Renderer:
    import fpx.render

    return fpx.render


draw_with(_renderer)
