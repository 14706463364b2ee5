"""Who casts: what each backend offers, what it refuses, and that it is found by its row."""

from __future__ import annotations

import shutil
from itertools import product

import pytest
import torch

from fpx.casts.backends import BACKENDS, EXACT, LAYOUTS, REFERENCES
from fpx.casts.values import numbers as codes_as_numbers
from fpx.casts.values import values
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.tensors import dtypes
from fpx.tensors.dtypes import INTEGERS, Origin, array_dtype, cast_dtype, container
from tests.helpers import BF16, E4M3, F16, F32, F64, call

FLOAT4, FLOAT6 = FORMATS["float4_e2m1fn"], FORMATS["float6_e2m3fn"]
ORIGINS: list[Origin] = [*FORMATS.values(), *INTEGERS.values(), find_format("e5m7")]


@pytest.mark.parametrize("name", BACKENDS)
def test_what_is_offered_is_cast_and_nothing_else(name: str) -> None:
    backend = BACKENDS[name]
    assert backend.name == name
    for origin, target in product(ORIGINS, [*FORMATS.values(), find_format("e5m7")]):
        if max(origin.bits, target.bits) > 64:
            assert not backend.offers(origin, target)
            continue
        codes = torch.tensor([0, 1, 1]).to(container(origin))
        if backend.offers(origin, target):
            got = backend.cast(codes, origin, target)
            assert (got.dtype, got.shape) == (container(target), codes.shape)
            assert got[1] == got[2]
        else:
            with pytest.raises(UnavailableError, match=f"{origin.name}|{target.name}"):
                backend.cast(codes, origin, target)


@pytest.mark.parametrize("name", BACKENDS)
def test_results_are_the_numbers_of_the_codes(name: str) -> None:
    """Of torch's dtype if it has one, else of float64; what is not cast is refused alike."""
    backend = BACKENDS[name]
    numbers = torch.tensor([0.0, -0.0, 1.0, 1.3, -2.7, 3e-7, 1e30, 7.0])
    for origin, target in product(ORIGINS, [*FORMATS.values(), find_format("e5m7")]):
        held, wanted = (_dtype(each) for each in (origin, target))
        if held is None or not F64.holds(target):
            continue
        x = (numbers if isinstance(origin, FormatSpec) else numbers[:4]).to(held)
        if backend.offers(origin, target):
            q = backend.results(x[::2], origin, target)
            codes = backend.cast(x[::2].contiguous().view(container(origin)), origin, target)
            assert q.dtype is (torch.float64 if wanted is None else wanted)
            expected = values(codes, target)
            torch.testing.assert_close(q.double(), expected, rtol=0, atol=0, equal_nan=True)
            assert torch.equal(q.double().signbit(), expected.signbit())
        else:
            with pytest.raises(UnavailableError, match=f"{origin.name}|{target.name}"):
                backend.results(x, origin, target)


def test_what_torch_has_no_kernel_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an older torch has dtypes that it does not cast to."""
    lacking = torch.float4_e2m1fn_x2
    monkeypatch.setattr(
        dtypes, "cast_dtype", lambda type_: lacking if type_ is F16 else torch.float32
    )
    torchs, x = BACKENDS["torch"], torch.ones(2)
    for cast in (torchs.results, torchs.cast):
        with pytest.raises(UnavailableError, match=r"torch .* does not cast float32 to float16"):
            cast(x, F32, F16)


def _dtype(type_: Origin) -> torch.dtype | None:
    """torch's dtype of a format that it casts, or of an integer type."""
    try:
        return cast_dtype(type_)
    except UnavailableError:
        return None


def test_codes_as_numbers_are_a_view_where_torch_has_the_format() -> None:
    codes = torch.arange(5, dtype=torch.int16)
    found = codes_as_numbers(codes, BF16)
    assert found.data_ptr() == codes.data_ptr()
    assert found.dtype is torch.bfloat16
    assert codes_as_numbers(codes.to(torch.uint8), FLOAT4).tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_a_cast_between_array_types_is_of_one_library() -> None:
    for origin, target in product(ORIGINS, FORMATS.values()):
        types = array_dtype(origin), array_dtype(target)
        owners = [name for name in ("numpy", "ml_dtypes") if BACKENDS[name].offers(origin, target)]
        added = any(kind is not None and kind.type.__module__ == "ml_dtypes" for kind in types)
        assert owners in ([], ["ml_dtypes" if added else "numpy"])


@pytest.mark.parametrize(
    ("backend", "origin", "target", "words"),
    [
        ("torch", F32, FORMATS["float8_e3m4"], "no dtype for float8_e3m4"),
        ("torch", find_format("tf32"), F16, "no dtype for tfloat32"),
        ("torch", F32, FLOAT4, "only stores float4_e2m1fn"),
        ("torch", FLOAT4, F32, "only stores float4_e2m1fn"),
        ("numpy", F32, BF16, "numpy [0-9.]+ does not cast float32 to bfloat16"),
        ("ml_dtypes", F32, F16, "ml_dtypes [0-9.]+ does not cast float32 to float16"),
        ("exact", find_format("e3m60"), F16, "e3m60"),
    ],
)
def test_a_refusal_says_what_is_lacking(
    backend: str, origin: Origin, target: FormatSpec, words: str
) -> None:
    with pytest.raises(UnavailableError, match=words):
        BACKENDS[backend].cast(torch.zeros(1, dtype=container(origin)), origin, target)


@pytest.mark.parametrize("name", BACKENDS)
def test_layouts_give_the_same_numbers(name: str) -> None:
    backend = BACKENDS[name]
    target = F16 if name == "numpy" else E4M3
    codes = torch.linspace(-300, 300, 257).view(torch.int32)
    plain = backend.cast(codes, F32, target)
    assert len(set(plain.tolist())) > 50
    for layout in LAYOUTS:
        if layout in backend.layouts:
            backend.check(layout, compiled=False)
            assert torch.equal(backend.cast(codes, F32, target, layout), plain)
            assert not backend.cast(codes[:0], F32, target, layout).numel()
        else:
            with pytest.raises(InputError, match=f"{layout}.*changes nothing.*{name}"):
                backend.check(layout, compiled=False)


def test_what_would_change_nothing_is_refused() -> None:
    for backend in BACKENDS.values():
        with pytest.raises(InputError, match="diagonal"):
            backend.check("diagonal", compiled=False)
        if backend.compiles:
            backend.check("strided", compiled=True)
        else:
            with pytest.raises(InputError, match=f"is for torch: {backend.name} has nothing"):
                backend.check("contiguous", compiled=True)


def test_every_row_is_a_reference_by_its_name_on_the_cpu() -> None:
    assert set(REFERENCES.values()) == set(BACKENDS.values())
    assert REFERENCES["exact"] is EXACT
    assert REFERENCES["cpu"] is BACKENDS["torch"]


def test_the_command_knows_every_row() -> None:
    """An option that takes a backend derives from the rows: help, and what is refused."""
    code, out, _ = call("cast-verify", "--help", columns=200)
    assert code == 0
    assert f"[{'|'.join(BACKENDS)}]" in out
    assert f"[{'|'.join(REFERENCES)}]" in out
    assert f"[{'|'.join(LAYOUTS)}]" in out
    for option in ("--backend", "--against", "--layout"):
        code, _, err = call("cast-verify", option, "nope")
        assert (code, err.count("\n")) == (2, 1)
        assert f"{option}: 'nope' is not one of " in err


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what torch imports to compile
@pytest.mark.filterwarnings("ignore:bf16 and fp16 are mixed")
def test_more_pairs_than_torch_compile_keeps_of_one_function_are_compiled() -> None:
    from torch._dynamo.utils import counters

    backend = BACKENDS["torch"]
    origins: list[Origin] = [F64, F32, F16, BF16]
    origins += [INTEGERS[name] for name in ("int64", "int32", "uint8")]
    pairs = [
        (origin, target) for origin in origins for target in (F32, F16, BF16) if origin != target
    ]
    assert len(pairs) > 16
    torch.compiler.reset()
    counters.clear()
    for origin, target in pairs:
        codes = torch.tensor([0, 1, 2, 3] * 8).to(container(origin))
        got = backend.cast(codes, origin, target, compiled=True)
        assert torch.equal(got, backend.cast(codes, origin, target))
    assert counters["stats"]["unique_graphs"] >= len(pairs)
