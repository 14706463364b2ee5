"""Tensors in memory: torch's, numpy's, and collections of them, as entries of a source."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fpx.errors import InputError
from fpx.tensors.dtypes import is_readable, origin_of, tensor_dtype
from fpx.tensors.entry import Layout, Scalars, Source, TensorEntry
from fpx.tensors.rows import row_major_blocks
from fpx.words import escape

_DEEPEST = 64  # nesting of containers
_MOST_PLACES = 1 << 18  # tensors and other things in a collection


class TooManyPlacesError(InputError):
    """A collection has more places than any checkpoint."""

    def __init__(self) -> None:
        super().__init__(f"over {_MOST_PLACES:,} things in one collection of tensors")


def source_of(data: object, name: str = "tensor") -> Source:
    """A tensor, an array, or a collection of such, as a source.

    Args:
        data: a torch tensor; a numpy array (also of ml_dtypes' types); a dict, list or tuple of
            those, however nested, such as a `state_dict()`; an `nn.Module`, whose tensors have the
            names of its `state_dict()`.
        name: how reports call it, and its tensor where it is only one.

    Raises:
        InputError: none of those, or nothing in it can be read.
    """
    if isinstance(data, torch.nn.Module):
        module: Mapping[str, Any] = data.state_dict()
        return _collection(dict(module), type(data).__name__)
    if isinstance(data, (Mapping, list, tuple)):
        return _collection(data, name)
    return Source(name, (entry_of(name, as_tensor(data)),))


def _collection(data: object, name: str) -> Source:
    entries: list[TensorEntry] = []
    notes: list[str] = []
    for tensor, item in named_leaves(data):
        if isinstance(item, (Tensor, np.ndarray)):
            try:
                entries.append(entry_of(tensor, as_tensor(item)))
            except InputError as error:
                notes.append(f"{tensor}: {error}")
        elif not isinstance(item, (str, bytes, int, float, complex, np.generic, type(None))):
            notes.append(f"{tensor}: passed over, a {type(item).__name__} is no tensor")
    if not entries:
        why = f" that fpx reads ({escape(notes[0])})" if notes else ""
        raise InputError(f"{name} holds no tensors{why}")
    return Source(name, tuple(entries), tuple(notes), scalars=lambda: _scalars(data))


def _scalars(data: object) -> Scalars:
    """The numbers and texts in nested dicts, lists and tuples, named by their path."""
    return {
        name: item
        for name, item in named_leaves(data)
        if item is None or isinstance(item, (str, int, float))
    }


def as_tensor(data: object) -> Tensor:
    """A torch tensor or numpy array (of ml_dtypes' types too) as a strided real torch tensor.

    Nothing is copied, but for arrays of the other byte order and such with negative strides, and
    tensors that torch has yet to negate (the imaginary part of a conjugate).

    Raises:
        InputError: neither, or one whose elements are no plain real numbers.
    """
    if isinstance(data, np.generic):
        data = np.asarray(data)
    if isinstance(data, np.ndarray):
        data = _of_array(data)
    if not isinstance(data, Tensor):
        raise InputError(
            f"a {type(data).__name__} cannot be read: pass a torch tensor, a numpy array, a dict "
            "of those, a state_dict(), an nn.Module or the path of a file"
        )
    plain = data.layout is torch.strided and not data.is_quantized
    if not (plain and is_readable(data.dtype)):
        raise InputError(f"{data.dtype} tensors of layout {data.layout} are not read")
    return data.detach().resolve_neg()


def _of_array(array: np.ndarray[Any, Any]) -> Tensor:
    dtype = tensor_dtype(array.dtype)
    held = array.astype(array.dtype.newbyteorder("="), copy=False)
    if any(stride < 0 or stride % array.itemsize for stride in held.strides):
        held = held.copy()  # torch has neither
    if dtype is not None and array.dtype.isbuiltin == 2:  # of ml_dtypes: its codes pass
        held = held.view(f"i{array.itemsize}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of arrays that must not be written to: nobody does
            tensor = torch.from_numpy(held)
    except TypeError:
        raise InputError(f"torch has no dtype for numpy's {array.dtype}: convert it") from None
    return tensor if dtype is None else tensor.view(dtype)


def layout_of(tensor: Tensor) -> Layout:
    """How a strided tensor lies in its storage."""
    storage = tensor.untyped_storage()
    return Layout(
        tuple(tensor.stride()),
        int(tensor.storage_offset()),
        storage.data_ptr(),
        storage.nbytes(),
    )


def entry_of(name: str, tensor: Tensor) -> TensorEntry:
    """An entry that reads a strided tensor in memory."""
    return TensorEntry(
        name,
        origin_of(tensor.dtype),
        tuple(tensor.shape),
        lambda limit: (block.cpu() for block in row_major_blocks(tensor.detach(), limit)),
        layout=layout_of(tensor),
        lasting=True,
    )


def named_leaves(data: object) -> Iterator[tuple[str, object]]:
    """What is in nested dicts, lists and tuples, named by its path; "" is `data` itself.

    Raises:
        TooManyPlacesError: more places than any checkpoint has, as where one list holds another
            twice, and that one a third twice, and so on.
    """
    visited = 0

    def walk(item: object, name: str, inside: tuple[int, ...]) -> Iterator[tuple[str, object]]:
        nonlocal visited
        visited += 1
        if visited > _MOST_PLACES:
            raise TooManyPlacesError
        if id(item) in inside or len(inside) > _DEEPEST:
            return
        if isinstance(item, dict):  # its own methods may be hidden by attributes of a subclass
            children = (
                (_key_text(key, at), child) for at, (key, child) in enumerate(dict.items(item))
            )
        elif isinstance(item, Mapping):
            children = ((_key_text(key, at), item[key]) for at, key in enumerate(item))
        elif isinstance(item, (list, tuple)):
            children = ((str(at), child) for at, child in enumerate(item))
        else:
            yield name, item
            return
        for key, child in children:
            yield from walk(child, f"{name}.{key}" if name else key, (*inside, id(item)))

    return walk(data, "", ())


def _key_text(key: object, at: int) -> str:
    """A key as part of a name; of one that could be of any size, its type and place."""
    if isinstance(key, tuple) and len(key) < 8:
        return f"({', '.join(_key_text(item, at) for item in key if not isinstance(item, tuple))})"
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (bool, float)) or (isinstance(key, int) and abs(key) < 1e30):
        return str(key)
    return f"<{type(key).__name__} {at}>"
