"""The table of layouts: which names, dtypes and shapes of codes and scales mean what.

A row says what its writers agree on. Whether the shapes fit is computed (`fit`); rows that fit the
same tensors and differ in what they mean are told apart by metadata or by `rivals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType

from fpx.core.elements import Element
from fpx.core.formats import FORMATS
from fpx.core.packing import Packing
from fpx.core.spec import FormatSpec
from fpx.tensors.quantised.geometry import block_of, in_blocks
from fpx.tensors.quantised.hints import Hint
from fpx.tensors.quantised.recipe import E4M3, E8M0, WHOLE, Recipe, Scales, Stored

_FP4, _E2M3, _E3M2 = (FORMATS[name] for name in ("float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn"))
_F8 = frozenset(("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"))
_BYTES = frozenset(("uint8", "int8"))
_PLAIN = frozenset(("float32", "bfloat16", "float16"))
_POWERS = frozenset(("float8_e8m0fnu", "uint8"))
_TENTHS = frozenset(("float8_e4m3fn",))
_NVIDIA_GLOBAL = 2688  # 448 x 6: what an amax is divided by to be a global scale


@dataclass(frozen=True)
class Row:
    """A layout.

    Attributes:
        name: what writes it, and what; `methods` may have a better name.
        scale: the ending of the tensor of scales.
        codes: the ending of the tensor of codes, after what comes before `scale`.
        stored, scales: dtypes of codes and of scales.
        element: what the codes are of; None is their own dtype.
        block: elements along the last axis that share a scale; 0 is whatever the shapes say.
        powers: whether scales are E8M0, also where bytes hold them; else their own dtype.
        e4m3: the same of E4M3.
        beside: the ending of the global scale; empty where there is none.
        optional: whether the global scale may be missing.
        divides: whether the global scale divides.
        divisor: a constant that all is divided by.
        packing, swizzled: of codes and of scales.
        merged: whether the last two axes of the codes are one of the numbers'.
        top_is_number: see `Scales`.
        told: whether it is meant only where metadata say so, or nothing else fits.
        methods: what metadata call it -> the name that it has then.
    """

    name: str
    scale: str
    codes: str
    stored: frozenset[str]
    scales: frozenset[str]
    element: Element | None = None
    block: int = 0
    powers: bool = False
    e4m3: bool = False
    beside: str = ""
    optional: bool = False
    divides: bool = False
    divisor: int = 1
    packing: Packing = Packing.LOW_FIRST
    swizzled: bool = False
    merged: bool = False
    top_is_number: bool = False
    told: bool = False
    methods: Mapping[str, str] = field(default_factory=dict)

    def fit(
        self,
        name: str,
        codes: Stored,
        scales: Stored,
        beside: Stored | None,
        hint: Hint | None,
    ) -> Recipe | str:
        """The weight that these tensors are, or why they are none."""
        element = self.element
        if element is None:
            assert isinstance(codes.type, FormatSpec)  # a row without an element is of formats
            element = codes.type
        shape = self._shape(codes, element)
        if isinstance(shape, str):
            return shape
        swizzled = self.swizzled if hint is None or hint.swizzled is None else hint.swizzled
        if self.block:
            block = in_blocks(shape, scales.shape, self.block, swizzled)
        else:
            block = block_of(shape, scales.shape, hint.block if hint else None)
            swizzled = False
        if block is None:
            return (
                f"its scales {scales.name} of shape {list(scales.shape)} do not fit codes of shape "
                f"{list(codes.shape)}"
            )
        spec = E8M0 if self.powers else E4M3 if self.e4m3 else scales.type
        assert isinstance(spec, FormatSpec)
        made = [
            Scales(scales.entry, spec, block, swizzled=swizzled, top_is_number=self.top_is_number)
        ]
        if beside is not None:
            share = block_of(shape, beside.shape)
            if share is None or not isinstance(beside.type, FormatSpec) or beside.type.bits < 16:
                return (
                    f"its global scale {beside.name} is {beside.type.name} of shape "
                    f"{list(beside.shape)}"
                )
            made.append(
                Scales(beside.entry, beside.type, share, divides=self.divides, role="global scale")
            )
        packing = Packing.BYTES if element.bits == 8 else self.packing
        divisor = self.divisor if beside is not None or not self.beside else 1
        return Recipe(name, shape, codes, element, packing, tuple(made), divisor)

    def _shape(self, codes: Stored, element: Element) -> tuple[int, ...] | str:
        """The shape of the numbers."""
        stored = codes.shape
        bits = element.bits
        if codes.type == element or not stored:
            return stored
        if self.merged:
            stored = (*stored[:-2], prod(stored[-2:]))
        width = stored[-1] * codes.type.bits
        if self.packing is Packing.BYTES or (bits == 8 and width == 8 * stored[-1]):
            return stored
        if width % bits:
            return f"rows of {stored[-1]} bytes are no whole number of codes of {bits} bits"
        return (*stored[:-1], width // bits)


_CT, _MO, _COMFY, _QUARK, _AO = (
    "compressed-tensors", "modelopt", "comfyui", "quark", "torchao"
)  # fmt: skip


_FP8_WRITERS = MappingProxyType({
    _CT: "compressed-tensors float-quantized", _MO: "modelopt FP8", "fbgemm_fp8": "fbgemm FP8",
    "fp8": "FP8", _QUARK: "Quark FP8",
})  # fmt: skip
_FP8_OF_FLOATS = MappingProxyType({**_FP8_WRITERS, _COMFY: "ComfyUI FP8"})
_MX8_WRITERS = MappingProxyType({
    _CT: "compressed-tensors mxfp8-quantized", _MO: "modelopt MXFP8", "mxfp8": "MXFP8",
    "fp8": "MXFP8", _QUARK: "Quark MXFP8",
})  # fmt: skip
_MX4_WRITERS = MappingProxyType({_QUARK: "Quark MXFP4", _MO: "modelopt MXFP4"})


def _only(method: str, name: str) -> Mapping[str, str]:
    return MappingProxyType({method: name})


_NV = frozenset(("uint8", "int8", "float4_e2m1fn"))

ROWS: tuple[Row, ...] = (
    # four bits, in names that nobody else has
    Row("compressed-tensors nvfp4-pack-quantized", "_scale", "_packed", _NV, _TENTHS, _FP4, 16,
        beside="_global_scale", divides=True,
        methods=_only(_CT, "compressed-tensors nvfp4-pack-quantized")),
    Row("compressed-tensors mxfp4-pack-quantized", "_scale", "_packed", _NV, _POWERS, _FP4, 32,
        powers=True, methods=_only(_CT, "compressed-tensors mxfp4-pack-quantized")),
    Row("compressed-tensors mxfp6-pack-quantized", "_scale", "_packed",
        _BYTES | {"float6_e2m3fn"}, _POWERS, _E2M3, 32, powers=True,
        methods=_only(_CT, "compressed-tensors mxfp6-pack-quantized")),
    *(
        Row("gpt-oss MXFP4", f"{sign}scales", f"{sign}blocks", _BYTES, _POWERS, _FP4, 32,
            powers=True, merged=True, top_is_number=True, methods=_only("mxfp4", "gpt-oss MXFP4"))
        for sign in "_."
    ),
    # the same names, and other nibbles and scales: told apart by metadata, or by `rivals`
    Row("modelopt NVFP4", "_scale", "", _NV, _TENTHS, _FP4, 16, beside="_scale_2",
        methods=_only(_MO, "modelopt NVFP4")),
    Row("ComfyUI nvfp4", "_scale", "", _NV, _TENTHS, _FP4, 16, beside="_scale_2",
        packing=Packing.HIGH_FIRST, swizzled=True, methods=_only(_COMFY, "ComfyUI nvfp4")),
    Row("MXFP8", "_scale", "", _F8, _POWERS, None, 32, powers=True, methods=_MX8_WRITERS),
    Row("ComfyUI mxfp8", "_scale", "", _F8, _POWERS, None, 32, powers=True, swizzled=True,
        told=True, methods=_only(_COMFY, "ComfyUI mxfp8")),
    # FP8 whose scales multiply, whatever they are called
    *(
        row
        for ending in ("_scale_inv", "_scales_inv")
        for row in (
            Row("MXFP8", ending, "", _F8, _POWERS, None, 32, powers=True, methods=_MX8_WRITERS),
            Row("block FP8 (DeepSeek's)", ending, "", _F8, _PLAIN,
                methods=_only("fp8", "block FP8 (DeepSeek's)")),
            Row("block FP8 (DeepSeek's)", ending, "", _F8, _POWERS, powers=True,
                methods=_only("fp8", "block FP8 (DeepSeek's)")),
        )
    ),
    Row("DeepSeek-V4 FP4", ".scale", ".weight", _NV, _POWERS - {"uint8"}, _FP4, 32, powers=True,
        methods=_only("fp8", "DeepSeek-V4 FP4")),
    Row("DeepSeek-V4 FP8", ".scale", ".weight", _F8, _POWERS - {"uint8"}, powers=True,
        methods=_only("fp8", "DeepSeek-V4 FP8")),
    Row("FP8", ".scale", ".weight", _F8, _PLAIN, methods=_FP8_OF_FLOATS),
    Row("FP8", "_scale", "", _F8, _PLAIN, methods=_FP8_OF_FLOATS),
    Row("FP8", "_scale", "", _F8, _POWERS, powers=True, methods=_FP8_WRITERS),
    Row("Mistral FP8", ".qscale_weight", ".weight", _F8, _PLAIN),
    # bytes
    Row("MXFP4 (Quark's)", "_scale", "", _NV, _POWERS, _FP4, 32, powers=True,
        methods=_MX4_WRITERS),
    Row("MXFP6 (Quark's)", "_scale", "", _BYTES | {"float6_e2m3fn"}, _POWERS, _E2M3, 32,
        powers=True, methods=_only(_QUARK, "Quark MXFP6 E2M3")),
    Row("MXFP6 (Quark's)", "_scale", "", _BYTES | {"float6_e3m2fn"}, _POWERS, _E3M2, 32,
        powers=True, methods=_only(_QUARK, "Quark MXFP6 E3M2")),
    Row("INT8", "_scale", "", frozenset(("int8",)), _PLAIN, WHOLE,
        methods=MappingProxyType({_CT: "compressed-tensors int-quantized", _COMFY: "ComfyUI int8",
                                  _QUARK: "Quark INT8", _MO: "modelopt INT8"})),
    Row("bitsandbytes LLM.int8", ".SCB", ".weight", frozenset(("int8",)), _PLAIN, WHOLE,
        divisor=127, methods=_only("bitsandbytes", "bitsandbytes LLM.int8")),
    # torchao's safetensors
    Row("torchao NVFP4Tensor", "_scale", "_qdata", _NV, _TENTHS, _FP4, 16,
        beside="_per_tensor_scale", optional=True, methods=_only(_AO, "torchao NVFP4Tensor")),
    Row("torchao NVFP4Tensor", "_scale", "_qdata", _NV, _TENTHS, _FP4, 16, swizzled=True,
        beside="_per_tensor_scale", optional=True, methods=_only(_AO, "torchao NVFP4Tensor")),
    *(
        Row("torchao MXTensor", "_scale", "_qdata", stored, _POWERS, element, 32, powers=True,
            packing=packing, swizzled=swizzled, methods=_only(_AO, "torchao MXTensor"))
        for swizzled in (False, True)
        for element, stored, packing in (
            (None, _F8, Packing.BYTES), (_FP4, _NV, Packing.LOW_FIRST),
            (_E2M3, _BYTES, Packing.BYTES), (_E3M2, _BYTES, Packing.BYTES),
        )
    ),
    Row("torchao Float8Tensor", "_scale", "_qdata", _F8, _PLAIN,
        methods=_only(_AO, "torchao Float8Tensor")),
    Row("torchao Int8Tensor", "_scale", "_qdata", frozenset(("int8",)), _PLAIN, WHOLE,
        methods=_only(_AO, "torchao Int8Tensor")),
    # MLX: words of 32 bits
    *(
        Row(f"MLX {name}", ".scales", ".weight", frozenset(("uint32",)), frozenset(("uint8",)),
            element, block, powers=name != "nvfp4", e4m3=name == "nvfp4",
            beside=".global_scale" if name == "nvfp4" else "", optional=True,
            divisor=_NVIDIA_GLOBAL if name == "nvfp4" else 1, methods=_only("mlx", f"MLX {name}"))
        for name, element, block in (
            ("nvfp4", _FP4, 16), ("mxfp4", _FP4, 32), ("mxfp8", FORMATS["float8_e4m3fn"], 32),
        )
    ),
)  # fmt: skip
"""Every layout of codes and scales alone; bitsandbytes' 4 bits have a file of their own."""


ENDINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        ending: tuple(dict.fromkeys(row.codes for row in ROWS if row.scale == ending))
        for ending in sorted({row.scale for row in ROWS}, key=len, reverse=True)
    }
)
"""Endings of scales, the longest first -> endings of the codes that they may belong to."""


BESIDE = (
    "input_scale", "input_global_scale", "input_scale_inv", "activation_scale", "qscale_act",
    "comfy_quant", "weight_format", "weight_shape", "output_scale",
)  # fmt: skip
"""Names, in the module of a weight, of what belongs to it and is no part of its numbers."""


_REPLACED = (("_packed", ""), ("_blocks", ""), (".blocks", ""))


def logical_name(codes: str) -> str:
    """What the weight of some codes is called where it is not quantised."""
    if codes.endswith("_qdata"):  # torchao: module._weight_qdata is of module.weight
        module, _, own = codes.removesuffix("_qdata").rpartition("._")
        return f"{module}.{own}" if module else own.removeprefix("_")
    for ending, plain in _REPLACED:
        if codes.endswith(ending):
            return codes.removesuffix(ending) + plain
    return codes
