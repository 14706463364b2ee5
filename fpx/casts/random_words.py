"""Random words by position: the same for an element wherever, whenever and by whom it is read."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

WORD_BITS = 63
"""Random bits of a word, which torch's int64 holds without a sign."""


_AT_ONCE = 4  # words that Philox makes of one counter


def words_at(seed: int, name: str, start: int, count: int) -> Tensor:
    """The words of some elements of a tensor.

    They come of Philox-4x64-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
    1, 2, 3", SC 2011), which computes word number n of a key from n alone, as
    `numpy.random.Philox` has it: the upper 63 bits of `Philox(key).random_raw`. The key is the seed
    and a number made of the name, so that tensors do not share words.

    Args:
        seed: any integer; its lowest 64 bits count.
        name: of the tensor.
        start: position of the first element in the tensor.
        count: of elements.

    Returns:
        int64 (count,), from 0 up, on the CPU.
    """
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    key = np.array([seed % (1 << 64), int.from_bytes(digest, "little")], dtype=np.uint64)
    generator = np.random.Philox(key=key)
    first, skipped = divmod(start, _AT_ONCE)
    generator.advance(first)
    raw = generator.random_raw(skipped + count)[skipped:]
    return torch.from_numpy((raw >> np.uint64(64 - WORD_BITS)).view(np.int64))
