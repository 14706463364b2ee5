"""Files that lie: one line and exit 2, soon and in little memory."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpx.errors import InputError
from tests.helpers import memory_of
from tests.tensors.reading import rows_of
from tests.writers import gguf, npy, rewritten, safetensors, tensors, torch_zip

Writer = Callable[[Path], object]

WRITERS: dict[str, tuple[Writer, str]] = {}


def hostile(words: str) -> Callable[[Writer], Writer]:
    """Registers a writer of a file that must be refused with these words."""

    def register(writer: Writer) -> Writer:
        WRITERS[writer.__name__] = writer, words
        return writer

    return register


@hostile("a .npy header of 4,294,967,295 bytes")
def npy_header_of_4_gb(path: Path) -> None:
    with path.open("wb") as file:
        file.write(npy(b"", version=2, claimed=2**32 - 1))
        file.truncate(5 << 30)  # sparse: it takes no room


@hostile("a .npy header of 67,108,864 bytes")
def npz_header_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy(b" " * (64 << 20), version=2))


@hostile("is a damaged .npy file")
def npy_header_that_is_no_literal(path: Path) -> None:
    path.write_bytes(npy(b"(" * 5000))


@hostile("is a damaged .npy file")
def npy_of_deep_arithmetic(path: Path) -> None:
    path.write_bytes(npy(b"{'descr':'<f4','fortran_order':False,'shape':(" + b"-" * 5000 + b"1,)}"))


@hostile("has numpy dtype ('<f4', (1000,))")
def npy_of_arrays(path: Path) -> None:
    header = b"{'descr':('<f4',(1000,)),'fortran_order':False,'shape':(2,)}"
    path.write_bytes(npy(header) + b"\0" * 8000)


@hostile("two members of one name")
def npz_with_a_name_twice(path: Path) -> None:
    data = io.BytesIO()
    np.save(data, np.ones(3))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", data.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", data.getvalue())


@hostile("'a' cannot be read: Bad CRC-32")
def npz_with_a_wrong_checksum(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), a=np.ones(200_000))
    data = bytearray(path.with_suffix(".npz").read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@hostile("is a damaged HDF5 file")
def hdf5_with_a_wrong_checksum(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(2e5), chunks=(10_000,), fletcher32=True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@hostile("a chunk of 'x' is not in it")
def hdf5_with_a_chunk_shorter_than_its_checksum(path: Path) -> None:
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "x", data=np.arange(100.0), chunks=(50,), compression="gzip", fletcher32=True
        )
        size = dataset.id.get_chunk_info(1).size
    data = path.read_bytes()
    key = struct.pack("<II", size, 0)  # in the index of chunks: bytes, filters left out
    assert data.count(key + struct.pack("<Q", 50)) == 1
    path.write_bytes(data.replace(key + struct.pack("<Q", 50), struct.pack("<IIQ", 0, 0, 50)))


@hostile("'a.npy' and header b'b.npy' differ")
def npz_whose_members_have_other_names(path: Path) -> None:
    data = io.BytesIO()
    np.savez(data, a=np.ones(3))
    path.write_bytes(data.getvalue().replace(b"a.npy", b"b.npy", 1))


@hostile("is a damaged torch file")
def old_pickle_of_exabytes(path: Path) -> None:
    data = io.BytesIO()
    torch.save(None, data, _use_new_zipfile_serialization=False)
    head = data.getvalue()[: data.getvalue().index(b"\x80\x02N.")]
    path.write_bytes(head + b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".")


@hostile(r"F\x1b[31mX")
def safetensors_with_colours_in_a_dtype(path: Path) -> None:
    header = '{"a":{"dtype":"F\\u001b[31mX","shape":[1],"data_offsets":[0,4]}}'
    path.write_bytes(safetensors(header))


@hostile("is described at too great length")
def safetensors_with_a_long_dtype(path: Path) -> None:
    header = '{"a":{"dtype":"%s","shape":[1],"data_offsets":[0,4]}}' % ("X" * 10**6)
    path.write_bytes(safetensors(header))


@hostile("has a header of 23,088,891 bytes")
def safetensors_with_a_huge_header(path: Path) -> None:
    entries = (f'"{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(400_000))
    path.write_bytes(safetensors("{" + ",".join(entries) + "}"))


@hostile("holds more than tensors")
def pickle_of_lists_that_hold_each_other_twice(path: Path) -> None:
    pickle = b"\x80\x02]q\x00"
    for i in range(1, 60):
        pickle += b"]q" + bytes((i,)) + b"(h" + bytes((i - 1,)) + b"h" + bytes((i - 1,)) + b"e"
    torch_zip(path, pickle + b".")


@hostile("is compressed")
def pickle_bomb(path: Path) -> None:
    torch_zip(path, b"\x80\x02" + b"N0" * (50 << 20) + b"N.", packed=True)


@hostile("holds more than tensors")
def pickle_of_many_lists(path: Path) -> None:
    torch_zip(path, b"\x80\x02(" + b"]" * (20 << 20) + b"l.")


@hostile("too large a pickle")
def old_pickle_of_many_lists(path: Path) -> None:
    data = io.BytesIO()
    torch.save(None, data, _use_new_zipfile_serialization=False)
    head = data.getvalue()[: data.getvalue().index(b"\x80\x02N.")]
    path.write_bytes(head + b"\x80\x02(" + b"]" * (20 << 20) + b"l.")


@hostile("'builtins bytearray'")
def pickle_of_a_bytearray_of_4_gb(path: Path) -> None:
    torch_zip(path, b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\1\x85R.")


@hostile("'punycode'")
def pickle_of_a_slow_codec(path: Path) -> None:
    text = "".join(map(chr, range(0x4E00, 0x9000))) * 8
    words = b"X" + struct.pack("<I", len(text.encode())) + text.encode()
    torch_zip(path, b"\x80\x02c_codecs\nencode\n" + words + b"X\x08\0\0\0punycode\x86R.")


@hostile("a storage is larger than its record")
def torch_record_shorter_than_its_storage(path: Path) -> None:
    value = {"x": torch.arange(100.0), "y": torch.arange(100.0)}
    rewritten(path, value, lambda name, data: data[:40] if name.endswith("data/0") else data)


@hostile("is a damaged torch file")
def quantised_view_of_2_to_the_40(path: Path) -> None:
    x = torch.quantize_per_tensor(torch.ones(1), 0.5, 0, torch.qint8)
    torch.save({"x": x.expand(1 << 20, 1 << 20)}, path)


@hostile("claims tensors of 8,796,093,022,208")
def conjugate_view_of_2_to_the_40(path: Path) -> None:
    torch.save({"x": torch.ones(1, dtype=torch.complex64).expand(1 << 20, 1 << 20).conj()}, path)


@hostile("'other' overlaps the tensor before it")
def gguf_with_overlapping_tensors(path: Path) -> None:
    data = gguf({"first": (0, (8,), b"\0" * 32), "other": (0, (8,), b"\0" * 32)})
    before, after = data.rsplit(struct.pack("<IQ", 0, 32), 1)
    path.write_bytes(before + struct.pack("<IQ", 0, 0) + after)


@hostile("too many arrays in arrays")
def gguf_of_arrays_in_arrays(path: Path) -> None:
    inner = struct.pack("<IQ", 0, 0) * 2_000_000
    path.write_bytes(
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 9, 2_000_000)
        + inner
    )  # fmt: skip


@hostile("it has no weight_map of names")
def index_of_empty_objects(path: Path) -> Path:
    index = path.with_name("m.safetensors.index.json")
    index.write_text("[" + "{}," * 5_000_000 + "{}]")
    return index


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("name", WRITERS)
def test_refused_in_a_line_soon_and_in_little_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    writer, words = WRITERS[name]
    made = writer(path)
    found = memory_of("cast-compare", made or path, "--to", "fp16")
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("fpx: ")
    assert words in found.err
    assert found.err.count("\n") == 1
    assert found.err.strip().isprintable()
    assert len(found.err) < 500
    assert found.megabytes < 300
    assert found.seconds < 10  # of work: the goal is 2 s; machines differ, and bombs take minutes


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def _write_bad(kind: str, path: Path) -> None:
    good = path.with_suffix(".good")
    save_file(tensors(), good)
    data = good.read_bytes()
    match kind:
        case "truncated safetensors":
            path.write_bytes(data[:-10])
        case "huge header":
            path.write_bytes((2**63).to_bytes(8, "little") + data[8:])
        case "broken header":
            path.write_bytes(data[:20] + b"!!" + data[22:])
        case "object array":
            np.save(path.with_suffix(".npy"), np.array([{}], dtype=object), allow_pickle=True)
            path.with_suffix(".npy").rename(path)
        case "npy that ends early":
            np.save(path.with_suffix(".npy"), np.ones(1000))
            path.write_bytes(path.with_suffix(".npy").read_bytes()[:500])
        case "npy with a wild shape":
            path.write_bytes(
                b"\x93NUMPY\x01\x00v\x00"
                + b"{'descr': '<f4', 'fortran_order': False, 'shape': (-5,), }".ljust(117)
                + b"\n"
            )
        case "pickle with code":
            torch.save(_Evil(path.parent / "pwned"), path)
        case "legacy pickle with code":
            torch.save(_Evil(path.parent / "pwned"), path, _use_new_zipfile_serialization=False)
        case "plain pickle":
            path.write_bytes(pickle.dumps(_Evil(path.parent / "pwned")))
        case "truncated torch":
            torch.save(tensors(), path)
            path.write_bytes(path.read_bytes()[:-2000])
        case "empty zip member":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("x.npy", b"")
        case "junk":
            path.write_bytes(os.urandom(100))
        case "empty":
            path.write_bytes(b"")
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)


UNKNOWN = "is no tensor file that fpx knows"
PICKLE = "(a pickle with code), which fpx never runs"
BAD = {
    "truncated safetensors": "is a damaged safetensors file",
    "huge header": UNKNOWN,
    "broken header": "is a damaged safetensors file",
    "object array": "holds Python objects (a pickle)",
    "npy that ends early": "ends too early",
    "npy with a wild shape": "its shape is (-5,)",
    "pickle with code": PICKLE,
    "legacy pickle with code": PICKLE,
    "plain pickle": UNKNOWN,
    "truncated torch": "is a damaged archive",
    "empty zip member": "bad/x' ends too early",
    "junk": UNKNOWN,
    "empty": "is empty",
    "directory": "has no tensor files",
    "fifo": "is not a regular file",
    "absent": "no such file",
}
"""Kind, as `_write_bad` knows it -> words of the refusal."""


@pytest.mark.parametrize("kind", BAD)
def test_hostile_files_are_one_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "bad"
    _write_bad(kind, path)
    with pytest.raises(InputError) as caught:
        rows_of(str(path))
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert "bad" in str(caught.value)
    assert BAD[kind] in str(caught.value)
    assert not (tmp_path / "pwned").exists()
