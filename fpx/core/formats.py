"""The formats people meet: one row each in FORMATS, and how a name finds its row.

What `ieee` overflow means in a format without infinity follows from its row: NaN where there is one
(the conversion without saturation of OCP OFP8 v1.0, 5.2), else the largest value (OCP MX v1.0, 5.3,
whose FP6 and FP4 have neither infinity nor NaN).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fpx.core.spec import FormatSpec, NanEncoding

_KINDS: Mapping[str, Mapping[str, Any]] = {
    # IEEE 754-2019, 3.4: infinities, NaN payloads, two zeros
    "": {},
    # finite with NaN: no infinity, the code of all ones is a NaN
    "fn": {"infinity": False, "nan": NanEncoding.ALL_ONES},
    # finite with NaN, unsigned zero: one zero, -0 is the NaN
    "fnuz": {"infinity": False, "nan": NanEncoding.NEGATIVE_ZERO},
    # finite with NaN, unsigned: powers of two only
    "fnu": {"signed": False, "zero": False, "infinity": False, "nan": NanEncoding.ALL_ONES},
    # IEEE 754's rules without a fraction: its NaNs need one, so there is only infinity
    "infinite": {"nan": NanEncoding.NONE},
    # every code is a number
    "finite": {"infinity": False, "nan": NanEncoding.NONE},
}
"""Kinds of special values: ml_dtypes' suffixes, and two more (`finite` is `fn` in names there)."""


def make_spec(
    name: str,
    exponent_bits: int,
    fraction_bits: int,
    kind: str = "",
    *,
    bias: int | None = None,
    aliases: str = "",
    **names: Any,
) -> FormatSpec:
    """A format of one of the `_KINDS`; `names` are the libraries' names and the citation.

    Without `bias` it is 2^(w-1) - 1 for w exponent bits (IEEE 754-2019, 3.3), and one more for
    `fnuz` (Noune et al., "8-bit Numerical Formats for Deep Neural Networks", 2022).
    """
    if bias is None:
        bias = (1 << (exponent_bits - 1)) - (kind != "fnuz")
    return FormatSpec(
        name, exponent_bits, fraction_bits, bias,
        aliases=tuple(aliases.split()), **_KINDS[kind], **names,
    )  # fmt: skip


_IEEE = "IEEE 754-2019, table 3.5"


_OFP8 = "OCP 8-bit Floating Point Specification (OFP8) v1.0, table 1"


_MX = "OCP Microscaling Formats (MX) v1.0, 5.3"


_FNUZ = "Noune et al., 8-bit Numerical Formats for Deep Neural Networks, 2022"


_LLVM = "LLVM APFloat semantics"


_ROWS = (
    make_spec(
        "float128", 15, 112, aliases="fp128 f128 quad quadruple binary128 e15m112",
        cuda="__float128", citation=_IEEE,
    ),
    make_spec(
        "float64", 11, 52, aliases="fp64 double binary64 e11m52 <f8 >f8 cuda_r_64f",
        torch="float64", numpy="float64", safetensors="F64", onnx="DOUBLE", cuda="double",
        gguf="F64", citation=_IEEE,
    ),
    make_spec(
        "float32", 8, 23, aliases="fp32 single binary32 e8m23 <f4 >f4 cuda_r_32f",
        torch="float32", numpy="float32", safetensors="F32", onnx="FLOAT", cuda="float",
        gguf="F32", citation=_IEEE,
    ),
    make_spec(
        "tfloat32", 8, 10, aliases="tf32 tensorfloat32 e8m10",
        cuda="nvcuda::wmma::precision::tf32",
        citation="NVIDIA A100 Tensor Core GPU Architecture, 2020",
    ),
    make_spec(
        "float16", 5, 10, aliases="fp16 half binary16 e5m10 f2 <f2 >f2 half_float cuda_r_16f",
        torch="float16", numpy="float16", safetensors="F16", onnx="FLOAT16", cuda="__half",
        gguf="F16", citation=_IEEE,
    ),
    make_spec(
        "bfloat16", 8, 7, aliases="brain e8m7 nv_bfloat16 cuda_r_16bf",
        torch="bfloat16", ml_dtypes="bfloat16", safetensors="BF16", onnx="BFLOAT16",
        cuda="__nv_bfloat16", gguf="BF16",
        citation="Intel, BFLOAT16 Hardware Numerics Definition, 2018",
    ),
    make_spec(
        "float8_e4m3fn", 4, 3, "fn", aliases="e4m3fn f8e4m3fn fp8_e4m3fn cuda_r_8f_e4m3",
        torch="float8_e4m3fn", ml_dtypes="float8_e4m3fn", safetensors="F8_E4M3",
        onnx="FLOAT8E4M3FN", cuda="__nv_fp8_e4m3", citation=_OFP8,
    ),
    make_spec(
        "float8_e5m2", 5, 2, aliases="e5m2 f8e5m2 fp8_e5m2 fp8e5m2 cuda_r_8f_e5m2",
        torch="float8_e5m2", ml_dtypes="float8_e5m2", safetensors="F8_E5M2", onnx="FLOAT8E5M2",
        cuda="__nv_fp8_e5m2", citation=_OFP8,
    ),
    make_spec(
        "float8_e4m3fnuz", 4, 3, "fnuz", aliases="e4m3fnuz f8e4m3fnuz fp8_e4m3fnuz",
        torch="float8_e4m3fnuz", ml_dtypes="float8_e4m3fnuz", safetensors="F8_E4M3FNUZ",
        onnx="FLOAT8E4M3FNUZ", citation=_FNUZ,
    ),
    make_spec(
        "float8_e5m2fnuz", 5, 2, "fnuz", aliases="e5m2fnuz f8e5m2fnuz fp8_e5m2fnuz",
        torch="float8_e5m2fnuz", ml_dtypes="float8_e5m2fnuz", safetensors="F8_E5M2FNUZ",
        onnx="FLOAT8E5M2FNUZ", citation=_FNUZ,
    ),
    make_spec(
        "float8_e4m3b11fnuz", 4, 3, "fnuz", bias=11,
        aliases="e4m3b11fnuz e4m3b11 f8e4m3b11fnuz float8_e4m3b11",
        ml_dtypes="float8_e4m3b11fnuz", citation=_LLVM,
    ),
    make_spec(
        "float8_e4m3", 4, 3, ml_dtypes="float8_e4m3", citation=_LLVM,
    ),
    make_spec(
        "float8_e3m4", 3, 4, aliases="e3m4 f8e3m4", ml_dtypes="float8_e3m4", citation=_LLVM,
    ),
    make_spec(
        "float8_e8m0fnu", 8, 0, "fnu", aliases="e8m0fnu e8m0 f8e8m0fnu ue8m0 cuda_r_8f_ue8m0",
        torch="float8_e8m0fnu", ml_dtypes="float8_e8m0fnu", safetensors="F8_E8M0",
        onnx="FLOAT8E8M0", cuda="__nv_fp8_e8m0", citation="OCP Microscaling Formats (MX) v1.0, 5.4",
    ),
    make_spec(
        "float6_e2m3fn", 2, 3, "finite", aliases="e2m3fn f6e2m3fn fp6_e2m3 cuda_r_6f_e2m3",
        ml_dtypes="float6_e2m3fn", safetensors="F6_E2M3", cuda="__nv_fp6_e2m3", citation=_MX,
    ),
    make_spec(
        "float6_e3m2fn", 3, 2, "finite", aliases="e3m2fn f6e3m2fn fp6_e3m2 cuda_r_6f_e3m2",
        ml_dtypes="float6_e3m2fn", safetensors="F6_E3M2", cuda="__nv_fp6_e3m2", citation=_MX,
    ),
    make_spec(
        "float4_e2m1fn", 2, 1, "finite",
        aliases="e2m1fn f4e2m1fn fp4_e2m1 fp4 float4 float4_e2m1fn_x2 cuda_r_4f_e2m1",
        torch="float4_e2m1fn_x2", ml_dtypes="float4_e2m1fn", safetensors="F4", onnx="FLOAT4E2M1",
        cuda="__nv_fp4_e2m1", citation=_MX,
    ),
)  # fmt: skip


FORMATS: Mapping[str, FormatSpec] = MappingProxyType({row.name: row for row in _ROWS})
"""Every listed format by name, widest first."""


_E4M3 = ("float8_e4m3fn", "float8_e4m3", "float8_e4m3fnuz", "float8_e4m3b11fnuz")
_FP8 = (*_E4M3, "float8_e5m2", "float8_e5m2fnuz", "float8_e3m4", "float8_e8m0fnu")
_FP6 = ("float6_e2m3fn", "float6_e3m2fn")
AMBIGUOUS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("e4m3", "f8e4m3", "fp8_e4m3", "fp8e4m3"), _E4M3),
    **dict.fromkeys(("fp8", "float8"), _FP8),
    "f8": ("float64", *_FP8),  # numpy counts bytes
    **dict.fromkeys(("fp6", "f6", "float6"), _FP6),
    "f4": ("float32", "float4_e2m1fn"),
    "e2m3": ("float6_e2m3fn", "float6_e2m3"),
    "e3m2": ("float6_e3m2fn", "float6_e3m2"),
    "e2m1": ("float4_e2m1fn", "float4_e2m1"),
    **dict.fromkeys(("longdouble", "long double"), ("float128", "float64")),
}
"""Names that mean different formats to different people, with what they could mean."""
