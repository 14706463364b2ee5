"""Numbers that share a scale, and codes in bytes."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, BinaryIO

from fpx.api.arguments import _choice, _Targets
from fpx.core.literals import ReadAs, to_literal
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_plain, find_targets, with_scales

if TYPE_CHECKING:
    from fpx.core.packing import Packing
    from fpx.report.bits import BitsReport
    from fpx.report.block import BlocksReport


def decode_block(
    values: object = (),
    dtype: _Targets = "mxfp4",
    *,
    scale_rule: str | None = None,
    like: str | None = None,
    global_scale: object | None = None,
    codes: str | bytes | None = None,
    scale_code: int | str | Iterable[int] | None = None,
    packing: Packing | str | None = None,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> BlocksReport:
    """What formats with scales make of numbers, or what packed codes and their scales mean.

    Args:
        values: a text of several numbers (`"6 -4 3 0.1"`) or several of what `decode` takes: the
            numbers of a tensor's last axis.
        dtype: formats with scales, or their names (`mxfp4`, `nvfp4:like=torchao`, `e4m3fn:tensor`).
        scale_rule: which scale a block gets, such as `rceil`; `all` compares the rules.
        like: encode as a library does: a name of `fpx.core.choices.LIKE`.
        global_scale: the scale that multiplies all blocks; None is that of the numbers, of codes 1.
        codes: in place of numbers, the bytes of packed elements, or those in hexadecimal.
        scale_code: of `codes`: the code of their scale, of several blocks one each.
        packing: how codes lie in bytes; None is the usual way.
        read_as: as for `decode`.

    Returns:
        A report with an item per format and block, each with a row per number.

    Raises:
        FpxError: no such format or number, or arguments that exclude each other.
    """
    from fpx.core.literals import split_numbers
    from fpx.core.packing import Packing
    from fpx.report.blocking import BlockOptions

    meant = _choice(ReadAs, read_as, "read_as")
    if isinstance(values, str):
        values = split_numbers(values)
    elif not isinstance(values, Iterable):
        values = [values]
    if isinstance(scale_code, int):
        scale_code = [scale_code]
    options = BlockOptions(
        scale_rule,
        like,
        None if global_scale is None else to_literal(global_scale),
        codes,
        scale_code if scale_code is None or isinstance(scale_code, str) else list(scale_code),
        None if packing is None else _choice(Packing, packing, "packing"),
    )
    targets = with_scales(find_targets(dtype))
    return options.report(targets, [to_literal(value, meant) for value in values])


def bits(
    file: str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    dtype: str | FormatSpec,
    *,
    offset: int = 0,
    count: int | None = None,
    big_endian: bool = False,
    packing: Packing | str | None = None,
    block: int = 32,
) -> BitsReport:
    """Raw bytes as the codes of a format.

    Args:
        file: the path of a file, an open binary file, or bytes.
        dtype: a format or its name.
        offset: bytes to skip first.
        count: codes to decode; without it all.
        big_endian: of codes with whole bytes, whether the highest byte comes first.
        packing: how codes of 4, 6 or other odd widths lie: `low-first`, `high-first`,
            `split-halves` or `bytes`; without it `low-first` below 8 bits, else `bytes`.
        block: codes of a block, of split halves.

    Raises:
        FpxError: no such format, the file cannot be read or ends before the offset, or a number is
            negative.
    """
    from fpx.core.packing import Packing
    from fpx.report.bits import BitsReport, bits_stream, read_chunks

    if packing is not None:
        packing = _choice(Packing, packing, "packing")
    *_, last = parts = list(
        bits_stream(
            read_chunks(file, offset),
            find_plain(dtype),
            offset=offset,
            count=count,
            packing=packing,
            big_endian=big_endian,
            block=block,
        )
    )
    codes = [code for part in parts for code in part.codes]
    return BitsReport(last.spec, codes, offset, last.packing, last.leftover_bytes, last.block)
