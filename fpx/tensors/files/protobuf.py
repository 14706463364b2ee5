"""Protobuf's wire format, walked field by field: nothing is loaded but what is asked for.

Layout: protobuf.dev, "Encoding". Groups, which were given up before ONNX began, are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""

_LONGEST_VARINT = 10  # bytes
_PIECE = 1 << 16  # bytes read at a time
_MOST_FIELDS = 1 << 22  # that are looked at in one file; a model of 100,000 nodes has half of it


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        number: which field it is.
        wire: its wire type.
        at, end: its bytes, without its tag and length.
        value: of a VARINT the number, unsigned; else 0.
    """

    number: int
    wire: int
    at: int
    end: int
    value: int = 0

    @property
    def signed(self) -> int:
        """The number as protobuf's int32 and int64 have it."""
        return self.value - (1 << 64) if self.value >> 63 else self.value


class Walker:
    """Reads fields.

    Args:
        at: bytes at a place: a place and a count -> as many bytes from there as there are.
        size: all bytes there are.
    """

    def __init__(self, at: Callable[[int, int], bytes], size: int) -> None:
        self._at, self.size = at, size
        self._left = _MOST_FIELDS
        self._held, self._first = b"", 0

    def fields(self, at: int, end: int) -> Iterator[Field]:
        """The fields of the message in these bytes, in their order.

        Raises:
            ValueError: damaged, or too many fields were looked at.
        """
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it has more than {_MOST_FIELDS:,} fields")
            tag, at = self.varint(at, end)
            number, wire, value = tag >> 3, tag & 7, 0
            start = at
            if wire == VARINT:
                value, at = self.varint(at, end)
            elif wire == BYTES:
                length, start = self.varint(at, end)
                at = start + length
            elif wire in (FIXED32, FIXED64):
                at += 4 if wire == FIXED32 else 8
            else:
                raise ValueError(f"a field has the wire type {wire}, which none has")
            if not number:
                raise ValueError("a field has the number 0, which none has")
            if at > end:
                raise ValueError(f"field {number} runs past the end of what it is in")
            yield Field(number, wire, start, at, value)

    def read(self, at: int, count: int) -> bytes:
        """Bytes at a place: as many as there are, of up to 64 KiB."""
        inside = at - self._first
        if inside < 0 or inside + count > len(self._held):
            self._held, self._first, inside = self._at(at, _PIECE), at, 0
        return self._held[inside : inside + count]

    def text(self, field: Field, most: int) -> str:
        """The text of a field: of a long one what it begins with."""
        data = self.read(field.at, min(field.end - field.at, most))
        text = data.decode("utf-8", "backslashreplace")
        length = field.end - field.at
        return text if length <= most else f"{text}… ({length:,} bytes)"

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """(The number at a place, where it ends).

        Raises:
            ValueError: it does not end.
        """
        inside = at - self._first
        if at < end and 0 <= inside < len(self._held) and self._held[inside] < 0x80:
            return self._held[inside], at + 1  # most are of one byte
        data = self.read(at, min(_LONGEST_VARINT, end - at))
        value = shift = 0
        for byte in data:
            value |= (byte & 0x7F) << shift
            at += 1
            if byte < 0x80:
                return value & (1 << 64) - 1, at
            shift += 7
        raise ValueError("a number does not end")
