"""How the elements of a tensor come: in blocks, of all of it or of a part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Read = Callable[[int], "Iterator[Tensor]"]
"""Longest block -> the tensor's elements, in storage order, as 1-D CPU tensors.

A block is only valid until the next one is asked for.
"""


Box = tuple[range, ...]
"""A part of a tensor: the indexes along each axis, without gaps."""


ReadBox = Callable[[int, Box], "Iterator[Tensor]"]
"""Longest block, and a part of the tensor -> the part's elements, in the order of `Read`."""


ReadPart = Callable[[int, int], "Tensor"]
"""A position and a number of elements -> those from there on, in the order of `Read`: 1-D, on the
CPU, in any thread; valid until the same thread calls it, or another one, again.
"""


SLAB = 64 << 20
"""Bytes of a tensor that are held where its storage order is not the order that is asked for."""


READ_AHEAD = 1 << 19
"""Elements of a read; longer tensors of files are read ahead, by a thread of its own."""
