"""Which tensors were counted already: a container returns what its last module did."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor


class Seen:
    """Tensors by identity and version, for as long as they live; none is kept alive."""

    def __init__(self) -> None:
        self._versions: dict[int, tuple[weakref.ref[Tensor], int]] = {}

    def again(self, tensor: Tensor, container: bool) -> bool:
        """Whether this tensor, unchanged since then, was asked about before.

        Args:
            tensor: that a module returned.
            container: whether that has modules in it. Tensors of inference mode do not tell
                whether they were changed in place; there, only what containers return is the same.
        """
        unknown = tensor.is_inference()
        version = 0 if unknown else tensor._version
        name = id(tensor)
        known = self._versions.get(name)
        if known is not None and known[0]() is tensor and known[1] == version:
            return container or not unknown

        def forget(gone: Any) -> None:
            held = self._versions.get(name)
            if held is not None and held[0] is gone:
                del self._versions[name]

        self._versions[name] = (weakref.ref(tensor, forget), version)
        return False
