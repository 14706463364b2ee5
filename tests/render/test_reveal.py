"""`fpx reveal` on the screen: tables, classes, one computation in full."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fpx.arithmetic.reveal.certificate import halves, left_to_right
from fpx.core.policy import Rounding
from fpx.render.reveal_dot import dot_text
from fpx.report.environment import Environment
from fpx.report.reveal import RevealEnvironment, RevealReport, RevealRow
from fpx.report.reveal_case import Case, Size
from fpx.report.reveal_row import Certificate, Computation, InputBits, Subnormals, Verdict
from fpx.report.sum_shape import SumShape
from fpx.report.sum_tree import SumTree
from tests.helpers import cells, drawn

RNE = Rounding.TIES_TO_EVEN
HERE = RevealEnvironment(
    Environment("3", "2", "1", "0", "cpu (x)", None, None, None, "AVX2", 1, 0),
    mkl=True, mkldnn=True, variables={"MKL_CBWR": "COMPATIBLE"}, flags={},
)  # fmt: skip
N = 8
PLAIN = Computation(
    left_to_right(range(N)), N, (23,) * (N - 2) + (None,), rounding=RNE, result_rounding=RNE,
    products="fused", whole=(False,) + (True,) * (N - 1), inputs=(InputBits(7),) * 2,
    subnormals=Subnormals(True, True, True),
)  # fmt: skip
SMALL = Size(1, N, 4)


def row(name: str = "mm", found: Computation | None = PLAIN, **kinds: object) -> RevealRow:
    base = RevealRow(
        name, "bfloat16", "bfloat16", "cpu", (Case(SMALL, 1),), Verdict.CERTIFIED, None, found,
        Certificate(1000, 1000, 300), signature="0123",
    )  # fmt: skip
    return replace(base, **kinds)  # type: ignore[arg-type]


def batches(*numbers: int, threads: int = 1) -> tuple[Case, ...]:
    return tuple(Case(SMALL._replace(m=m), threads) for m in numbers)


def text(*rows: RevealRow, width: int = 100, trees: bool = False) -> str:
    return drawn(RevealReport(rows, HERE, trees), width)


def test_one_computation_in_full() -> None:
    shown = text(row())
    assert "torch 2 on cpu (x), 1 thread, AVX2, MKL_CBWR=COMPATIBLE" in shown
    for line in (
        "mm of 1x8x4 in bfloat16: certified",
        "  replayed     1,000 of 1,000 random rows with the same bits (in other orders, 300",
        "  order        left to right, 7 additions deep",
        "  adds in      float32, rounded to nearest, ties to even",
        "  result       bfloat16, rounded to nearest, ties to even",
        "  products     fused into their additions (FMA): 7 of 8",
        "  subnormals   inputs kept, products kept, results kept",
        "  sum = x[0] + x[1] + … + x[7]",
        "  x[i] is a product a[i] * b[i]",
    ):
        assert line in shown
    assert f"fingerprint  {row().fingerprint}" in shown


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (replace(PLAIN, products="exact"), "products     exact: the accumulator holds all"),
        (replace(PLAIN, products="rounded"), "products     rounded, then added"),
        (replace(PLAIN, products="mixed"), "some rounded before: 7 of 8"),
        (replace(PLAIN, kept=(23, 7, 23, 23, 23, 23, None)), "  float32, parts bfloat16"),
        (replace(PLAIN, kept=(13,) * 6 + (None,), rounding=Rounding.TOWARD_ZERO),
         "adds in      14 bits, rounded toward zero"),
        (replace(PLAIN, inputs=(InputBits(3, RNE), InputBits(7))),
         "4 and 8 bits of each significand are read, rounded to nearest, ties to even"),
        (replace(PLAIN, result_rounding=Rounding.TIES_TO_AWAY),
         "result       bfloat16, rounded to nearest, ties away from zero"),
        (replace(PLAIN, subnormals=Subnormals(False, None, True)),
         "subnormals   inputs taken as zero, results kept"),
        (replace(PLAIN, subnormals=Subnormals()), "cannot be asked in these formats"),
        (replace(PLAIN, tree=None, kept=()), "adds in      an exact sum"),
        (replace(PLAIN, compensated=True, kept=(24,) * 6 + (None,)),
         "order        left to right, compensated, 7 additions deep"),
    ],
)  # fmt: skip
def test_what_is_said_of_one(found: Computation, line: str) -> None:
    assert line in text(row(found=found))


def test_what_is_not_certain_says_why() -> None:
    shown = text(
        row(verdict=Verdict.HYPOTHESIS, reason="3 of 9 replays have other bits", alike=False)
    )
    assert "mm of 1x8x4 in bfloat16: hypothesis" in shown
    assert "because      3 of 9 replays have other bits" in shown
    assert "elements     others of the result compute another way" in shown
    shown = text(row(found=None, verdict=Verdict.NOT_RESOLVABLE, reason="why", certificate=None))
    assert "not resolvable" in shown
    assert "replayed" not in shown


def test_a_survey_has_a_line_for_each() -> None:
    rows = [
        row("sum", replace(PLAIN, products=None)), row("sum", dtype="float16"),
        row("mean", dtype="x"),
        row("mm", replace(PLAIN, tree=halves(N), subnormals=Subnormals(False, True, False))),
        row("dot", None, verdict=Verdict.VARIES, reason="it varies", certificate=None),
        row("mv", verdict=Verdict.WEAK, reason="few bits"),
        row("bmm", replace(PLAIN, subnormals=Subnormals(False, None, True))),
        row("addmm", replace(PLAIN, result_rounding=Rounding.TIES_TO_AWAY), alike=False),
    ]  # fmt: skip
    shown = text(*rows, width=120)
    table = {tuple(line[:2]): line[2:] for line in cells(shown)}
    assert table["sum", "bfloat16"] == [
        "1x8x4", "left to right", "7", "float32", "-", "kept", "yes", "1,000/1,000",
    ]  # fmt: skip
    assert table["float16", "1x8x4"][0] == "left to right"  # the name is not said twice
    assert table["mm", "bfloat16"][1:7] == ["pairwise", "3", "float32", "fused", "zero", "yes"]
    assert table["dot", "bfloat16"] == ["1x8x4", "-", "-", "-", "-", "-", "varies", "-"]
    assert table["mv", "bfloat16"][6] == "weak"
    assert table["bmm", "bfloat16"][5] == "in zero"
    assert "Certified, 6 of 8: computed again on 1,000 random rows" in shown
    assert "Every addition rounds to nearest, ties to even." in shown
    assert "dot in bfloat16: varies, it varies." in shown
    assert "addmm in bfloat16: the result is rounded to nearest, ties away from zero." in shown
    assert "addmm in bfloat16: this is the first element; others" in shown
    assert "sum = " not in shown
    whole = text(*rows, width=120, trees=True)
    assert (whole.count("sum = "), whole.count("sum  = ")) == (6, 1)  # of mm, with definitions


def test_certificates_have_room_on_80_columns() -> None:
    rows = [row(name) for name in ("scatter_reduce", "mm", "bmm", "mv")]
    rows.append(row("scaled_mm_fast", dtype="float8_e4m3fn"))
    shown = text(*rows, width=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert "certi-" in shown
    assert "No room for: size, depth, replayed" in shown


def test_other_modes_and_short_inputs_have_columns() -> None:
    short = replace(PLAIN, rounding=Rounding.TOWARD_ZERO, inputs=(InputBits(3, RNE),) * 2)
    shown = text(*(row(name, short) for name in "abcde"), width=120)
    assert "toward zero" in shown
    assert "4 bits" in shown
    assert "Every addition" not in shown


def test_classes_of_batches() -> None:
    other = replace(PLAIN, tree=halves(N))
    shown = text(
        row(cases=batches(1, 4, 5), class_count=2),
        row(found=other, cases=batches(2, 3), class_="B", class_count=2, signature="4567"),
    )
    table = cells(shown)
    assert next(line[:2] for line in table if line[0] == "A") == ["A", "1, 4-5"]
    assert next(line[:3] for line in table if line[0] == "B") == ["B", "2-3", "pairwise"]
    assert "Not batch invariant: the first row's bits change at batch 2, 4." in shown
    assert "mm in bfloat16 class B, 2x8x4" in shown  # the one that was probed


def test_a_batch_whose_rows_differ() -> None:
    shown = text(
        row(cases=batches(1, 2), class_count=2),
        row(cases=batches(3), class_="B", class_count=2, alike=False),
    )
    assert "Not batch invariant" not in shown
    assert "At batch 3, equal rows and columns of one batch give other bits at other" in shown
    assert "mm in bfloat16, class B: this is the first element" in shown


def test_one_class_is_good_news() -> None:
    assert "All 3 give the same bits." in text(row(cases=batches(1, 2, 3)))


def test_combinations_are_merged_where_they_are_all() -> None:
    both = batches(1, 2) + batches(1, 2, threads=2)
    shown = text(row(cases=both[:3], class_count=2), row(cases=both[3:], class_="B", class_count=2,
                                                         signature="4567"))  # fmt: skip
    lines = [line[:3] for line in cells(shown)]
    assert ["A", "1-2", "1"] in lines
    assert ["1", "2"] in [line[:2] for line in lines]
    assert ["B", "2", "2"] in lines
    assert "Bits depend on batch or threads: 2 classes." in shown
    whole = text(
        row(cases=(*batches(1, 2), *batches(1, 2, threads=2)), class_count=2),
        row(cases=batches(3) + batches(3, threads=2), class_="B", class_count=2, signature="4"),
    )
    assert ["A", "1-2", "1, 2"] in [line[:3] for line in cells(whole)]


def test_what_torch_has_not() -> None:
    report = replace(RevealReport((row(),), HERE), absent=(("sum", "float8_e5m2", "why"),))
    assert "Not offered by this torch: sum in float8_e5m2." in drawn(report)


def formula(n: int, *steps: tuple[int, ...]) -> list[str]:
    return [line.text for line in SumShape(SumTree.of(n, steps)).formula()]


def test_formulas() -> None:
    assert formula(4, (0, 1), (4, 2), (5, 3)) == ["sum = x[0] + x[1] + x[2] + x[3]"]
    assert formula(4, (0, 2), (1, 3), (4, 5)) == ["sum = A(0) + A(1)", "A(k) = x[k] + x[k+2]"]
    assert formula(8, (0, 1, 2, 3), (8, 4, 5, 6, 7)) == ["sum = {x[0] … x[3]} + {x[4] … x[7]}"]
    assert formula(6, (0, 2, 4), (6, 1, 3, 5)) == ["sum = {x[0], x[2], x[4]} + {x[1], x[3], x[5]}"]
    odd_first = [(1, 0), (8, 3), (9, 2), (10, 5), (11, 4), (12, 7), (13, 6)]
    assert formula(8, *odd_first) == ["sum = x[1] + x[0] + x[3] + x[2] + … + x[7] + x[6]"]
    assert SumShape(SumTree.of(8, odd_first)).order == "odd first"


def test_graphs() -> None:
    fused = replace(PLAIN, tree=SumTree.of(4, [(0, 1, 2, 3)]), leaf_count=4, whole=(True,) * 4)
    lines = dot_text(RevealReport((row('a"b\\', fused), row("x", None, reason="no")), HERE))
    assert lines.startswith('digraph "a\\"b\\\\ in bfloat16, 1x8x4" {')
    assert '  n4 [shape=box, label="+ of 4"]' in lines
    assert "  n3 -> n4" in lines
    assert '  none [shape=plaintext, label="no"]' in lines
    assert lines.count("{") == lines.count("}") == 2
