"""Quantised weights on a screen."""

from __future__ import annotations

from fractions import Fraction

import pytest
from rich.console import Console

import fpx  # noqa: F401 - which says who draws
from fpx.render.registry import renderable
from fpx.report.followed import Beside, PartInfo, first_digits
from fpx.report.inspect import InspectReport, LayoutReport, TensorReport
from fpx.report.inspect_row import Element
from fpx.report.quantised import Fit, ScaleInfo
from tests.report.test_followed import report as followed
from tests.report.test_inspect import info
from tests.report.test_quantised import weight


def drawn(report: object, width: int = 100) -> str:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(renderable(report))  # type: ignore[arg-type]
    return capture.get()


def lines(report: object, width: int = 100) -> list[str]:
    return [" ".join(line.split()) for line in drawn(report, width).splitlines()]


def test_a_list_begins_with_what_it_is() -> None:
    shown = lines(InspectReport((weight("a.0"), weight("a.1"), info("p"))))
    assert shown[1] == (
        "modelopt NVFP4: 2 weights in nvfp4, recognised by config.json (metadata)"
    )  # fmt: skip
    assert "dtype tensors elements bytes bits each" in shown
    assert "nvfp4 2 64 36 4.5" in shown
    assert "a.{0,1} 2 nvfp4 [2, 16] 36 4.5" in shown
    assert "float32 1 2 8 32" in shown
    assert shown[-1] == "3 tensors, 66 elements, 44 bytes"
    plain = drawn(InspectReport((info("p"),)))
    assert "bits each" not in plain
    assert "scales" not in plain


def test_a_guess_is_called_one() -> None:
    shown = " ".join(lines(InspectReport((weight("a", evidence="likely"),))))
    assert "recognised by config.json (a guess: other layouts fit too)" in shown


def test_what_is_suspicious_is_said_once_for_weights_alike() -> None:
    tensors = [weight(f"l.{n}.w", doubts=("odd", f"{n} of 9")) for n in range(3)]
    shown = lines(InspectReport((*tensors, weight("other", doubts=()))))
    at = shown.index("Suspicious: 3 weights")
    assert shown[at + 1 : at + 5] == [
        "l.{0..2}.w: odd", "l.0.w: 0 of 9", "l.1.w: 1 of 9", "l.2.w: 2 of 9",
    ]  # fmt: skip
    assert "not read" not in " ".join(shown)


def test_many_suspicions_are_cut_unless_all_are_asked_for() -> None:
    from fpx.render.inspect import inspect_tables

    report = InspectReport(tuple(weight(f"w{n}x{'y' * n}", doubts=("odd",)) for n in range(25)))
    shown = lines(report)
    assert sum(line.endswith(": odd") for line in shown) == 20
    assert "and 5 lines more: --all" in shown
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(inspect_tables(report, every=True))
    assert capture.get().count(": odd") == 25


def test_whether_scales_were_read_is_said() -> None:
    unread = " ".join(lines(InspectReport((weight("a"), weight("b")))))
    assert "The scales of 2 weights were not read: --stats looks for what is wrong" in unread
    assert "Nothing suspicious" not in unread
    read = " ".join(lines(InspectReport((weight("a", doubts=()),))))
    assert "Nothing suspicious in their scales." in read
    assert "not read" not in read


def one(**more: object) -> TensorReport:
    found = weight("model.w", **more)
    values = {(0, 0): "-0.001234567890123", (0, 1): "2"}
    elements = tuple(Element(at, float(text), text) for at, text in values.items())
    return TensorReport(found, ((0,), (0, 1)), elements)


SCALES = (
    ScaleInfo("scale", "model.w_scale", "float8_e4m3fn", (2, 1), 2, "multiplies", swizzled=True),
    ScaleInfo("global scale", "model.g", "float32", (1,), 4, "divides", value="2688"),
)


@pytest.mark.parametrize("kind", ["values", "layout"])
def test_how_one_is_stored(kind: str) -> None:
    report = one(
        scales=SCALES, beside=("model.input_scale",), doubts=("a scale is NaN", "another is 0"),
        fits=(Fit("codes", "8 U8 x 2 = 16", True), Fit("scales", "1 x 16 = 17", False)),
    )  # fmt: skip
    shown = lines(report if kind == "values" else LayoutReport(report.info))
    assert shown[:19] == [
        "model.w nvfp4, shape [2, 16], 32 elements",
        "",
        "layout modelopt NVFP4",
        "recognised by config.json (metadata)",
        "element float4_e2m1fn, low nibble first, a scale per block of 16",
        "codes U8 [2, 8]",
        "w",
        "scale float8_e4m3fn [2, 1], multiplies, swizzled in tiles of 128 x 4",
        "model.w_scale",
        "global scale float32 [1] = 2688, divides",
        "model.g",
        "beside model.input_scale",
        "takes 18 bytes (16 of codes, 6 of scales): 4.5 bits per element",
        "fits 8 U8 x 2 = 16",
        "1 x 16 = 17",
        "suspicious a scale is NaN",
        "another is 0",
        *(["", "Dequantised"] if kind == "values" else []),
    ]
    if kind == "values":
        assert "0 -0.001234568 2 …" in shown
        assert "(long numbers are rounded, exact in --json)" in shown
        assert lines(one(doubts=()))[10] == "suspicious nothing"


@pytest.mark.parametrize(
    ("more", "words"),
    [({"packing": "high-first"}, "float4_e2m1fn, high nibble first, a scale per block of 16"),
     ({"packing": "low-first", "element_bits": 6}, "float4_e2m1fn, low bits first, a"),
     ({"packing": "bytes"}, "float4_e2m1fn, a scale per block of 16"),
     ({"packing": None, "reach": None, "element": "Q4_K"}, "element Q4_K\n"),
     ({"stored_bytes": None}, "codes U8 [2, 8]")],
)  # fmt: skip
def test_what_has_no_name_is_left_out(more: dict[str, object], words: str) -> None:
    assert words in "\n".join(lines(one(**more)))


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_name_and_no_number_is_cut(width: int) -> None:
    name = "model.layers.0.self_attn.q_proj.weight_global_scale_of_a_long_name"
    report = one(scales=(*SCALES, ScaleInfo("offset", name, "float32", (), 4, "multiplies",
                                            value="0.12345678901234567890123456789")))  # fmt: skip
    text = drawn(report, width)
    assert max(map(len, text.splitlines())) <= width
    joined = "".join(text.split())
    assert name in joined
    assert "0.12345678901234567890123456789" in joined


def terms(**more: object) -> list[PartInfo]:
    kinds: dict[str, object] = {
        "role": "element", "tensor": "w.codes", "index": (3, 2), "stored": "0xa7", "first_bit": 4,
        "code": "0xa", "bits": 4, "format": "float4_e2m1fn", "value": "-1",
    }  # fmt: skip
    return [PartInfo(**{**kinds, **more})]  # type: ignore[arg-type]


def test_an_element_step_by_step() -> None:
    assert lines(followed()) == [
        "w[3, 5] mxfp4", "l, recognised by its names (no metadata)", "",
        "element 0xa of float4_e2m1fn = -1", "high nibble of byte 0x[a]7 at w.codes[3, 2]",
        "scale 0x44 of float8_e4m3fn = 3", "at w.scale[3, 0]", "value element × scale",
        "= (-1) × 3", "= -3", "hex float -0x1.8p+1",
        "neighbours -4.5 below, -1.5 above, at the same scales",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "words"),
    [({"first_bit": 0, "code": "0x7"}, "low nibble of byte 0xa[7]"),
     ({"first_bit": None}, "in byte 0xa7 at w.codes[3, 2]"),
     ({"stored": "0x76543210", "first_bit": 12}, "nibble 3 of word 0x7654[3]210"),
     ({"stored": "0x76543210", "first_bit": 0}, "nibble 0 of word 0x7654321[0]"),
     ({"bits": 6, "first_bit": 2}, "bits 2 to 7 of byte 0xa7"),
     ({"bits": 6, "first_bit": 6}, "from bit 6 of byte 0xa7 at w.codes[3, 2] on into the next"),
     ({"stored": None, "index": ()}, "at w.codes value"),
     ({"stored": None, "first_bit": None, "code": None}, "float4_e2m1fn = -1 at w.codes[3, 2]")],
)  # fmt: skip
def test_where_a_code_lies(more: dict[str, object], words: str) -> None:
    shown = " ".join(lines(followed(terms=tuple(terms(**more)), formula="element")))
    assert words in shown


def test_long_numbers_end_with_a_mark() -> None:
    over_all = "0.000372023816453292965888977050781"
    shown = lines(
        followed(
            terms=(*terms(), *terms(role="scale", value="2"),
                   *terms(role="global scale", value=over_all)),
            formula="element x scale / global scale", exact=Fraction(-2) / Fraction(over_all),
            lower=None, upper="1/3",
        )
    )  # fmt: skip
    assert "= (-1) × 2 / 0.00037202381645329296…" in shown
    assert f"= {first_digits(Fraction(-2) / Fraction(over_all))}" in shown
    assert "neighbours none below, 0.33333333333333333… above, at the same scales" in shown


def test_what_is_beside_it_is_a_table() -> None:
    beside = (Beside((3, 4), "0x2", "1", "3", "3"), Beside((3, 5), "0xa", "-1", None, "-1/3"))
    shown = lines(followed(around=beside))
    assert shown[-4] == "beside it code element scale value"
    assert shown[-2:] == ["[3, 4] 0x2 1 3 3", "[3, 5] 0xa -1 - -0.33333333333333333…"]
    assert "beside it" not in " ".join(lines(followed()))
    console = Console(width=100, highlight=False, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(renderable(followed(around=beside)))
    first, own = capture.get().splitlines()[-2:]
    assert "\x1b" not in first
    assert "\x1b" in own
