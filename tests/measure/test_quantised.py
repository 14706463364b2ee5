"""What reports tell of quantised weights, from descriptions made by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any

import pytest

from fpx.core.elements import element_value
from fpx.core.formats import FORMATS
from fpx.core.packing import Packing
from fpx.core.scaling import Reach, ScaledFormat
from fpx.core.targets import find_target
from fpx.errors import InputError
from fpx.measure.quantised import described, dtype_of, examined, followed, size_of
from fpx.report.followed import ElementReport
from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.quantised.model import Evidence, Followed, Part, Quantised, ScaleTensor

E2M1, E4M3, E5M2 = (FORMATS[n] for n in ("float4_e2m1fn", "float8_e4m3fn", "float8_e5m2"))
LOW, HIGH, BYTES = Packing.LOW_FIRST, Packing.HIGH_FIRST, Packing.BYTES
ANY: Any = None


def never(*_: object) -> Any:
    raise AssertionError("a listing reads nothing")


def entry_of(quantised: Quantised, shape: tuple[int, ...]) -> TensorEntry:
    return TensorEntry("w", FORMATS["float64"], shape, never, quantised=quantised)


def described_as(
    shape: tuple[int, ...],
    stored: tuple[str, tuple[int, ...]],
    target: str,
    scales: tuple[int, ...],
    packing: Packing = LOW,
    **more: Any,
) -> Quantised:
    """A weight in a scaled format, of which nothing can be read."""
    found = find_target(target)
    assert isinstance(found, ScaledFormat)
    held: tuple[ScaleTensor, ...] = (
        ScaleTensor("s", found.scale.name, scales, swizzled=more.pop("swizzled", False)),
    )
    if found.global_scale is not None:
        held += (ScaleTensor("g", "float32", (1,), divides=True),)
    kinds: dict[str, Any] = {"scales": held, "doubts": never, "follow": never, **more}
    return Quantised(
        "someone's", found, found.element.name, "w_packed", *stored, packing, found.reach,
        evidence=Evidence.METADATA, recognised_by="config.json", **kinds,
    )  # fmt: skip


NVFP4 = described_as((4, 64), ("U8", (4, 32)), "nvfp4", (4, 4), beside=("input_scale",))


def test_what_a_description_says() -> None:
    found = described(entry_of(NVFP4, (4, 64)))
    assert found is not None
    assert (found.layout, found.format, found.element, found.element_bits) == (
        "someone's", "nvfp4", "float4_e2m1fn", 4,
    )  # fmt: skip
    assert (found.stored, found.stored_dtype, found.stored_shape) == ("w_packed", "U8", (4, 32))
    assert (found.stored_bytes, found.packing, found.reach) == (128, "low-first", "block:16")
    assert (found.evidence, found.recognised_by) == ("metadata", "config.json")
    assert (found.beside, found.doubts) == (("input_scale",), None)
    block, over_all = found.scales
    assert (block.role, block.tensor, block.format, block.shape) == (
        "scale", "s", "float8_e4m3fn", (4, 4),
    )  # fmt: skip
    assert (block.bytes, block.direction, block.value) == (16, "multiplies", None)
    assert (over_all.role, over_all.bytes, over_all.direction) == ("global scale", 4, "divides")
    assert size_of(found) == 128 + 16 + 4
    assert described(TensorEntry("x", FORMATS["float32"], (2,), never)) is None


def test_sizes_that_are_not_known_stay_so() -> None:
    unknown = replace(NVFP4, stored_type="Q9_X", format=None, element="Q9_X", packing=None)
    found = described(entry_of(unknown, (4, 64)))
    assert found is not None
    assert (found.stored_bytes, size_of(found), found.element_bits) == (None, None, None)
    assert [fit.of for fit in found.fits] == ["scales"]
    told = described(entry_of(replace(unknown, stored_bytes=99, scales=()), (4, 64)))
    assert told is not None
    assert (size_of(told), told.fits) == (99, ())


@pytest.mark.parametrize(
    ("more", "dtype"),
    [({}, "nvfp4"), ({"format": None}, "float4_e2m1fn:block=16"),
     ({"format": None, "reach": None}, "float4_e2m1fn:scaled"),
     ({"format": None, "scales": ()}, "float4_e2m1fn"),
     ({"format": None, "stored_type": "Q4_K", "stored_bytes": 9}, "Q4_K"),
     ({"stored_type": "NVFP4", "stored_bytes": 9}, "nvfp4")],
)  # fmt: skip
def test_what_a_list_calls_the_dtype(more: dict[str, Any], dtype: str) -> None:
    assert dtype_of(replace(NVFP4, **more)) == dtype


def test_scales_between_codes_are_not_counted_beside_them() -> None:
    """GGUF's blocks have their scales; a global one beside them is no scale of blocks."""
    beside = (ScaleTensor("g", "float32", (1,)),)
    weight = replace(NVFP4, stored_type="NVFP4", stored_bytes=144, scales=beside)
    found = described(entry_of(weight, (4, 64)))
    assert found is not None
    assert found.fits == ()
    assert size_of(found) == 148


@pytest.mark.parametrize(
    ("shape", "stored", "target", "scales", "packing", "codes", "blocks"),
    [
        ((4, 64), ("U8", (4, 32)), "nvfp4", (4, 4), LOW,
         "32 U8 x 2 codes = 64, the width", "4 scales x 16 = 64, the width"),
        ((4, 64), ("F4", (4, 64)), "mxfp4", (4, 2), BYTES,
         "64 F4 x 1 code = 64, the width", "2 scales x 32 = 64, the width"),
        ((4, 64), ("U8", (4, 48)), "mxfp6_e2m3", (4, 2), LOW,
         "48 U8 x 4/3 codes = 64, the width", "2 scales x 32 = 64, the width"),
        ((4, 64), ("U32", (4, 8)), "mxfp4", (4, 2), LOW,
         "8 U32 x 8 codes = 64, the width", "2 scales x 32 = 64, the width"),
        ((2, 6, 64), ("U8", (2, 6, 2, 16)), "mxfp4", (2, 6, 2), LOW,
         "32 U8 x 2 codes = 64, the width", "2 scales x 32 = 64, the width"),
        ((3, 65), ("U8", (98, 1)), "nf4", (4,), HIGH,
         "98 U8 x 2 codes = 196, all elements of 195 and what fills it up",
         "4 scales x 64 = 256, all elements of 195 and what fills it up"),
        ((2, 40), ("U8", (2, 20)), "mxfp4", (2, 2), LOW,
         "20 U8 x 2 codes = 40, the width",
         "2 scales x 32 = 64, the width of 40 and what fills it up"),
        ((200, 300), ("F8_E4M3", (200, 300)), "e4m3fn:block=128x128", (2, 3), BYTES,
         "300 F8_E4M3 x 1 code = 300, the width",
         "6 scales = 2 x 3 blocks of 128 x 128, all of [200, 300]"),
        ((3, 130, 140), ("F8_E4M3", (3, 130, 140)), "e4m3fn:block=128x128", (3, 2, 2), BYTES,
         "140 F8_E4M3 x 1 code = 140, the width",
         "12 scales = 3 x 2 x 2 blocks of 128 x 128, all of [3, 130, 140]"),
        ((2, 64), ("U32", (2, 16)), "mxfp8_e4m3", (2, 2), BYTES,
         "16 U32 x 4 codes = 64, the width", "2 scales x 32 = 64, the width"),
        ((2, 64), ("U8", (2, 64)), "mxfp6_e2m3", (2, 2), BYTES,
         "64 U8 x 1 code = 64, the width", "2 scales x 32 = 64, the width"),
        ((5, 3), ("F8_E4M3", (5, 3)), "e4m3fn:channel", (5, 1), BYTES,
         "3 F8_E4M3 x 1 code = 3, the width", "5 scales, one for each channel = 5, the channels"),
        # and what does not fit
        ((4, 64), ("U8", (4, 31)), "nvfp4", (4, 4), LOW,
         "!124 U8 x 2 codes = 248, but all elements are 256", "4 scales x 16 = 64, the width"),
        ((4, 64), ("U8", (4, 32)), "nvfp4", (4, 3), LOW,
         "32 U8 x 2 codes = 64, the width", "!12 scales x 16 = 192, but all elements are 256"),
        ((200, 300), ("F8_E4M3", (200, 300)), "e4m3fn:block=128x128", (2, 2), BYTES,
         "300 F8_E4M3 x 1 code = 300, the width",
         "!4 scales, but [200, 300] has 6 blocks of 128 x 128"),
        ((5, 3), ("F8_E4M3", (5, 3)), "e4m3fn:channel", (3,), BYTES,
         "3 F8_E4M3 x 1 code = 3, the width",
         "!3 scales, one for each channel = 3, but the channels are 5"),
    ],
)  # fmt: skip
def test_whether_codes_scales_and_shape_fit(
    shape: tuple[int, ...],
    stored: tuple[str, tuple[int, ...]],
    target: str,
    scales: tuple[int, ...],
    packing: Packing,
    codes: str,
    blocks: str,
) -> None:
    found = described(entry_of(described_as(shape, stored, target, scales, packing), shape))
    assert found is not None
    said = [("" if fit.holds else "!") + fit.says for fit in found.fits]
    assert said == [codes, blocks]
    assert [fit.of for fit in found.fits] == ["codes", "scales"]
    assert list(found.suspicions) == [line[1:] for line in said if line.startswith("!")]


@pytest.mark.parametrize(
    ("scales", "says"),
    [((128, 8), "1,024 scales = 128 x 8, 4 x 5 in whole tiles of 128 x 4"),
     ((4, 5), "20 scales, but 4 x 5 in whole tiles of 128 x 4 are 1,024"),
     ((4, 8), "32 scales, but 4 x 5 in whole tiles of 128 x 4 are 1,024")],
)  # fmt: skip
def test_swizzled_scales_fill_whole_tiles(scales: tuple[int, ...], says: str) -> None:
    weight = described_as((4, 80), ("U8", (4, 40)), "nvfp4", scales, swizzled=True)
    found = described(entry_of(weight, (4, 80)))
    assert found is not None
    assert found.scales[0].swizzled
    assert [fit.holds for fit in found.fits] == [True, scales == (128, 8)]
    assert found.fits[1].says == says


def test_swizzled_tiles_go_through_all_rows() -> None:
    weight = described_as((2, 70, 80), ("U8", (2, 70, 40)), "nvfp4", (256, 8), swizzled=True)
    found = described(entry_of(weight, (2, 70, 80)))
    assert found is not None
    assert found.fits[1].says == "2,048 scales = 256 x 8, 140 x 5 in whole tiles of 128 x 4"
    assert found.fits[1].holds


def test_one_scale_for_all_has_nothing_to_fit() -> None:
    found = described(
        entry_of(described_as((2, 2), ("F8_E4M3", (2, 2)), "e4m3fn:tensor", (), BYTES), (2, 2))
    )
    assert found is not None
    assert [fit.of for fit in found.fits] == ["codes"]


# -- one element -----------------------------------------------------------------------------------


class Weight:
    """One row in NVFP4 by hand: codes, a scale code for each 16, and the global scale's value."""

    def __init__(
        self,
        codes: list[int],
        scales: list[int],
        over_all: Fraction | None = Fraction(3),
        *,
        packing: Packing = LOW,
        formula: str = "element x scale / global scale",
        element: Any = E2M1,
    ) -> None:
        self.codes, self.scales, self.over_all = codes, scales, over_all
        self.formula, self.element, self.packing = formula, element, packing
        self.entry = entry_of(
            replace(
                NVFP4, packing=packing, stored_shape=(1, len(codes) // 2), follow=self.follow,
                format=None, element=element.name, doubts=lambda: ("it looks odd",),
            ),
            (1, len(codes)),
        )  # fmt: skip

    def follow(self, index: tuple[int, ...]) -> Followed:
        at = index[1]
        code, scale_code = self.codes[at], self.scales[at // 16]
        first, second = self.codes[at // 2 * 2 : at // 2 * 2 + 2]
        if self.packing is HIGH:
            first, second = second, first
        element, scale = element_value(code, self.element), element_value(scale_code, E4M3)
        value = None
        if element is not None and scale is not None and self.over_all:
            value = element * scale / self.over_all
        stored = first | second << 4 if self.element.bits == 4 else None
        return Followed(
            (
                Part("element", "w_packed", (0, at // 2), self.element.name, code,
                     self.element.bits, element, stored),
                Part("scale", "s", (0, at // 16), "float8_e4m3fn", scale_code, 8, scale),
                Part("global scale", "g", (0,), "float32", None, 32, self.over_all),
            ),
            self.formula,
            value,
        )  # fmt: skip

    def at(self, index: int) -> ElementReport:
        return followed(Source("file", (self.entry,)), self.entry, (0, index))


CODES = [0x3, 0x7, 0xE, 0xA, 0x5, 0x5, 0x0, 0x8, *range(8)] + [0xF, 0x1] * 8


def test_an_element_is_followed_through_its_parts() -> None:
    found = Weight(CODES, [0x38, 0x44]).at(17)
    assert (found.source, found.tensor, found.index) == ("file", "w", (0, 17))
    assert (found.dtype, found.layout) == ("float4_e2m1fn:block=16", "someone's")
    assert (found.evidence, found.recognised_by) == ("metadata", "config.json")
    element, scale, over_all = found.terms
    assert (element.role, element.tensor, element.index) == ("element", "w_packed", (0, 8))
    assert (element.stored, element.first_bit, element.code, element.bits) == ("0x1f", 4, "0x1", 4)
    assert (element.format, element.value) == ("float4_e2m1fn", "0.5")
    assert (scale.code, scale.index, scale.value) == ("0x44", (0, 1), "3")
    assert (scale.stored, scale.first_bit) == (None, None)
    assert (over_all.code, over_all.value, over_all.role) == (None, "3", "global scale")
    assert (found.exact, found.value, found.decimal) == (Fraction(1, 2), "0.5", "0.5")
    assert found.hex_float == "0x1p-1"
    assert (found.lower, found.upper) == ("0", "1")
    third = Weight(CODES, [0x38, 0x44]).at(1)
    assert (third.value, third.hex_float, third.decimal) == ("2", "0x1p+1", "2")
    assert (third.lower, third.upper) == ("4/3", None)
    assert Weight(CODES, [0x38, 0x44]).at(-1).index == (0, 31)


def test_a_value_that_no_decimal_is() -> None:
    found = Weight(CODES, [0x38, 0x44], Fraction(7)).at(0)
    assert (found.value, found.decimal) == ("3/14", "0.21428571428571428…")
    assert found.hex_float is None


@pytest.mark.parametrize("packing", [LOW, HIGH])
def test_the_nibble_is_where_the_packing_has_it(packing: Packing) -> None:
    weight = Weight(CODES, [0x38, 0x44], packing=packing)
    for at, code in enumerate(CODES):
        term = weight.at(at).terms[0]
        assert term.stored is not None
        assert term.first_bit == (4 if (at % 2 == 1) is (packing is LOW) else 0)
        assert int(term.stored, 16) >> term.first_bit & 15 == code
    # 5 and 5: nothing but the packing tells which is which
    assert [weight.at(at).terms[0].first_bit for at in (4, 5)] == (
        [0, 4] if packing is LOW else [4, 0]
    )


def test_where_a_code_lies_is_said_only_where_that_is_known() -> None:
    weight = Weight(CODES, [0x38, 0x44], packing=ANY)
    assert [weight.at(at).terms[0].first_bit for at in (0, 1, 4)] == [0, 4, None]
    lying = Weight(CODES, [0x38, 0x44], packing=LOW)
    lying.packing = HIGH  # of which the description knows nothing
    assert [lying.at(at).terms[0].first_bit for at in (0, 4)] == [None, 0]


def test_six_bits_go_on_in_the_next_byte() -> None:
    codes = [0b101010, 0b011101, 0b110011, 0b000111]
    whole = sum(code << 6 * at for at, code in enumerate(codes)).to_bytes(3, "little")

    def follow(index: tuple[int, ...]) -> Followed:
        at = index[0]
        part = Part("element", "w", (at * 6 // 8,), "float6_e2m3fn", codes[at], 6, Fraction(1),
                    whole[at * 6 // 8])  # fmt: skip
        return Followed((part,), "element", Fraction(1))

    weight = described_as((4,), ("U8", (3,)), "mxfp6_e2m3", (1,), follow=follow)
    entry = entry_of(weight, (4,))
    source = Source("f", (entry,))
    terms = [followed(source, entry, (at,)).terms[0] for at in range(4)]
    assert [term.first_bit for term in terms] == [0, 6, 4, 2]
    assert [term.code for term in terms] == ["0x2a", "0x1d", "0x33", "0x07"]


def test_what_is_no_number_is_called_that() -> None:
    nan = Weight(CODES, [0x7F, 0x44]).at(0)
    assert (nan.value, nan.exact, nan.decimal, nan.hex_float) == ("nan", None, "nan", None)
    assert (nan.terms[1].value, nan.terms[0].value) == ("nan", "1.5")
    assert (nan.lower, nan.upper) == (None, None)
    by_zero = Weight(CODES, [0x38, 0x44], Fraction(0))
    assert [by_zero.at(at).value for at in (0, 2, 6)] == ["inf", "-inf", "nan"]
    codes = [0x7C, 0xFC, 0x7D, 0x3C] * 4
    wide = Weight(codes, [0xB8], element=E5M2)
    assert [wide.at(at).value for at in range(3)] == ["-inf", "inf", "nan"]
    assert [wide.at(at).terms[0].value for at in range(3)] == ["inf", "-inf", "nan"]
    assert wide.at(3).value == "-1/3"
    assert Weight(codes, [0x00], element=E5M2).at(0).value == "nan"


def test_the_next_values_are_those_at_this_scale() -> None:
    negative = Weight(CODES[:16], [0xB8]).at(0)  # scale -1: 1.5 becomes -0.5
    assert (negative.value, negative.lower, negative.upper) == ("-0.5", "-2/3", "-1/3")
    dead = Weight(CODES[:16], [0x00]).at(0)
    assert (dead.value, dead.lower, dead.upper) == ("0", None, None)
    odd = Weight(CODES[:16], [0x38], formula="element x scale / global scale / 127").at(6)
    assert (odd.lower, odd.upper) == (None, None)
    zero = Weight(CODES[:16], [0x38]).at(6)
    assert (zero.lower, zero.upper) == ("-1/6", "1/6")


def test_what_is_beside_it_ends_where_the_row_does() -> None:
    weight = Weight(CODES, [0x38, 0x44])
    assert [item.index[1] for item in weight.at(0).around] == [0, 1, 2, 3]
    assert [item.index[1] for item in weight.at(31).around] == [28, 29, 30, 31]
    around = weight.at(16).around
    assert [item.index[1] for item in around] == list(range(13, 20))
    assert [item.scale for item in around] == ["1"] * 3 + ["3"] * 4
    assert [item.code for item in around] == ["0x5", "0x6", "0x7", "0xf", "0x1", "0xf", "0x1"]
    assert [item.value for item in around[2:5]] == ["2", "-6", "0.5"]
    assert [item.element for item in weight.at(7).around][3] == "-0"


@pytest.mark.parametrize("index", [(0, 32), (0, -33), (1, 0), (0,), (0, 0, 0)])
def test_an_index_that_is_none(index: tuple[int, ...]) -> None:
    weight = Weight(CODES, [0x38, 0x44])
    with pytest.raises(InputError, match="'w'"):
        followed(Source("f", (weight.entry,)), weight.entry, index)


def test_a_code_may_mean_something_else_than_in_its_format() -> None:
    """gpt-oss reads code 255 of E8M0 as 2^128, not as NaN."""
    top = Fraction(2) ** 128

    def follow(index: tuple[int, ...]) -> Followed:
        scale = Part("scale", "s", (0,), "float8_e8m0fnu", 255, 8, top)
        element = Part("element", "w", index, "float4_e2m1fn", 2, 4, Fraction(1))
        return Followed((element, scale), "element x scale", top)

    weight = described_as((2,), ("U8", (1,)), "mxfp4", (1,), follow=follow)
    found = followed(Source("f", ()), entry_of(weight, (2,)), (0,))
    assert found.terms[1].value == str(2**128) == found.value


@pytest.mark.parametrize(
    ("code", "value", "beside"),
    [(5, Fraction(5), (None, None)), (0, Fraction(0), (None, None)),
     (5, Fraction(5, 64), ("0.125", "0.1875"))],
)  # fmt: skip
def test_int8_is_whole_numbers_or_64ths(
    code: int, value: Fraction, beside: tuple[str | None, str | None]
) -> None:
    def follow(index: tuple[int, ...]) -> Followed:
        scale = Part("scale", "s", (0,), "float32", 0x40000000, 32, Fraction(2))
        return Followed(
            (Part("element", "w", index, "int8", code, 8, value), scale), "element x scale",
            value * 2,
        )  # fmt: skip

    weight = described_as((2,), ("I8", (2,)), "int8:channel", (2,), BYTES, follow=follow)
    found = followed(Source("f", ()), entry_of(weight, (2,)), (0,))
    assert (found.lower, found.upper) == beside


def test_scales_that_are_read_are_told() -> None:
    weight = Weight(CODES, [0x38, 0x44], Fraction(5, 2))
    info = described(weight.entry)
    assert info is not None
    assert info.doubts is None
    found = examined(weight.entry, info)
    assert found.doubts == ("it looks odd",)
    assert [(item.role, item.value) for item in found.scales] == [
        ("scale", None), ("global scale", "2.5"),
    ]  # fmt: skip
    assert found.suspicions[-1] == "it looks odd"
    empty = replace(weight.entry, shape=(0, 32))
    assert examined(empty, info).doubts == ("it looks odd",)


def test_the_role_of_scales_is_what_their_reader_calls_it() -> None:
    def follow(index: tuple[int, ...]) -> Followed:
        parts = [Part("element", "w", index, "nf4", 1, 4, Fraction(1)),
                 Part("scale", "s", (0,), "nested", 3, 8, Fraction(2)),
                 Part("mean of scales", "n", (0,), "float32", None, 32, Fraction(3))]  # fmt: skip
        return Followed(tuple(parts), "element x (scale + mean of scales)", Fraction(5))

    held: tuple[ScaleTensor, ...] = (
        ScaleTensor("s", "uint8", (1,)),
        ScaleTensor("n", "float32", (1,)),
    )
    weight = described_as((2,), ("U8", (1,)), "nf4", (1,), follow=follow, doubts=lambda: ())
    entry = entry_of(replace(weight, scales=held), (2,))
    info = described(entry)
    assert info is not None
    assert [item.bytes for item in info.scales] == [1, 4]
    assert [item.role for item in examined(entry, info).scales] == ["scale", "mean of scales"]
    found = followed(Source("f", ()), entry, (1,))
    assert (found.lower, found.upper, found.value) == (None, None, "5")


@pytest.mark.parametrize(
    ("name", "bits"),
    [("U8", 8), ("I8", 8), ("U32", 32), ("F4", 4), ("F8_E8M0", 8), ("BF16", 16), ("uint8", 8),
     ("float8_e4m3fn", 8), ("bfloat16", 16), ("F32", 32), ("BOOL", 8)],
)  # fmt: skip
def test_every_name_of_a_dtype_has_its_width(name: str, bits: int) -> None:
    weight = replace(NVFP4, stored_type=name, stored_shape=(3, 5), scales=())
    found = described(entry_of(weight, (4, 64)))
    assert found is not None
    assert found.stored_bytes == -(-prod((3, 5)) * bits // 8)


def test_reaches_have_the_words_of_options() -> None:
    for text in ("tensor", "channel", "channel:1", "block:32", "block:128x128"):
        weight = replace(NVFP4, reach=Reach.parse(text), scales=())
        found = described(entry_of(weight, (4, 64)))
        assert found is not None
        assert found.reach == text
