"""Names of formats: found, ambiguous, unknown."""

from __future__ import annotations

import pytest

from fpx.core.formats import AMBIGUOUS, FORMATS
from fpx.core.names import find_format, find_formats
from fpx.errors import InputError


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("bf16", "bfloat16"), ("BF16", "bfloat16"), ("torch.bfloat16", "bfloat16"),
        ("half", "float16"), ("binary16", "float16"), ("np.float16", "float16"),
        ("<f4", "float32"), ("FLOAT", "float32"), ("double", "float64"), ("tf32", "tfloat32"),
        ("F8_E4M3", "float8_e4m3fn"), ("FLOAT8E4M3FN", "float8_e4m3fn"),
        ("__nv_fp8_e4m3", "float8_e4m3fn"), ("CUDA_R_8F_E4M3", "float8_e4m3fn"),
        ("F8_E8M0", "float8_e8m0fnu"), ("ue8m0", "float8_e8m0fnu"), ("F4", "?"), ("fp4",
        "float4_e2m1fn"), ("e5m2", "float8_e5m2"), ("e3m4", "float8_e3m4"),
        ("F6_E2M3", "float6_e2m3fn"), ("quad", "float128"), ("binary128", "float128"),
        ("e5m10", "float16"), ("float16_e5m10", "float16"), ("e05m010", "float16"),
        ("e5m10b15", "float16"), ("e8m23", "float32"), ("e4m3b11fnuz", "float8_e4m3b11fnuz"),
        ("e4m3b7", "float8_e4m3"), ("float8_e4m3", "float8_e4m3"), ("e2m3b1fn", "float6_e2m3fn"),
        ("float6_e2m3", "float6_e2m3"), ("e5m7", "e5m7"), ("float13_e5m7", "e5m7"),
        ("binary8p4se", "binary8p4se"), ("p3109_Binary8p4SE", "binary8p4se"),
        ("e4m3", "?"), ("fp8", "?"), ("f8", "?"), ("e2m1", "?"), ("fp6", "?"),
    ],
)  # fmt: skip
def test_names(name: str, found: str) -> None:
    if found == "?":
        with pytest.raises(InputError, match="is ambiguous: write") as error:
            find_format(name)
        for candidate in AMBIGUOUS[name.lower()]:
            assert candidate in str(error.value)
            find_format(candidate)
        return
    spec = find_format(name)
    assert spec.name == found
    assert find_format(spec.name) is spec


@pytest.mark.parametrize(
    "name",
    ["float33", "e0m4", "e20m3", "e8m60", "e4m3fnu", "float9_e4m3fn", "e2", "m3", "e1m0", "e1m3",
     "binary8p8se", "binary8p0se", "binary1p1ue", "binary65p4se", "binary8p4", "e4m3b999999", "",
     "bf16;", "e5m7\n9"],
)  # fmt: skip
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InputError) as error:
        find_format(name)
    assert "\n" not in str(error.value)


def test_one_format_is_one_object() -> None:
    assert find_format("e5m7") is find_format("float13_E5M7")
    assert find_format("binary8p4se") is find_format("p3109_binary8p4se")


def test_no_alias_names_two_formats() -> None:
    seen: dict[str, str] = {}
    for spec in FORMATS.values():
        for alias in (spec.name, *spec.aliases):
            assert seen.setdefault(alias, spec.name) == spec.name, alias
            assert alias not in AMBIGUOUS, alias


def test_groups_and_lists() -> None:
    assert find_formats("all") == list(FORMATS.values())
    for bits in (4, 6, 8, 16, 32):
        found = find_formats(f"all{bits}")
        assert found == [spec for spec in FORMATS.values() if spec.bits == bits]
        assert found
    assert find_formats("ALL16, fp8_e5m2 ,half") == [
        *find_formats("all16"), FORMATS["float8_e5m2"],
    ]  # fmt: skip
    assert find_formats(["fp16,bf16", "float16"]) == [FORMATS["float16"], FORMATS["bfloat16"]]
    some = [FORMATS["float16"], FORMATS["float8_e5m2"]]
    assert find_formats(["all8", "all"], some) == some[::-1]
    for bad in ("all7", "all16,", "fp16;bf16", "all-8"):
        with pytest.raises(InputError):
            find_formats(bad)
    with pytest.raises(InputError, match="all4, all6, all8"):
        find_formats("all5")
