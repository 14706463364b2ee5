"""The page in a real browser: it sorts, filters and draws, by mouse and by keyboard, on its own."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from fpx.core.formats import FORMATS
from fpx.report.cast_compare import CastReport
from fpx.words import escape
from tests.browser import logged, started
from tests.helpers import call

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m'\"&lt;"


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    driver = started(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CastReport]:
    """A page of cast-compare, and the report that it is of."""
    folder = tmp_path_factory.mktemp("page")
    generator = torch.Generator().manual_seed(0)
    path = folder / "model.safetensors"
    tensors = {
        "block.weight": torch.randn(64, 64, generator=generator),
        "block.running_var": torch.randn(64, generator=generator).abs() * 1e5,
        "small": torch.randn(50, generator=generator) * 1e-7,
        "ones": torch.ones(7),
        "nothing": torch.zeros(3),
        "nans": torch.full((2,), torch.nan),
        HOSTILE: torch.randn(5, generator=generator) * 1e30,
    }
    save_file(tensors, path)
    page = folder / "report.html"
    to = "fp16,bf16,e5m2"
    gate = "overflow_count>0"
    assert call("cast-compare", path, "--to", to, "--fail-if", gate, "--save", page)[0] == 1
    return page, fpx.cast_compare([path], to=to.split(","), fail_if=[gate])


class Page:
    """The open page."""

    def __init__(self, chrome: Chrome, path: Path) -> None:
        self.chrome = chrome
        logged(chrome, "browser")
        logged(chrome, "performance")
        chrome.get(path.resolve().as_uri())

    def run(self, script: str, *arguments: object) -> Any:
        return self.chrome.execute_script(script, *arguments)

    def column(self, label: str) -> list[str]:
        """The texts of a column's cells, of all rows."""
        self.run("let n; do { n = document.querySelectorAll('tbody tr').length; draw(); } while "
                 "(n < document.querySelectorAll('tbody tr').length)")  # fmt: skip
        found: list[str] = self.run(
            "const at = [...document.querySelectorAll('thead th')].findIndex(th => th.textContent "
            "=== arguments[0]); return [...document.querySelectorAll('tbody tr:not(.detail)')]"
            ".map(row => row.children[at].textContent)",
            label,
        )
        return found

    def click(self, selector: str, text: str | None = None) -> None:
        self.run(
            "const found = [...document.querySelectorAll(arguments[0])].filter(each => arguments[1]"
            " === null || each.textContent === arguments[1]); found[0].click()",
            selector,
            text,
        )

    def open(self, row: int) -> None:
        """What is under a row, by its number."""
        self.run("document.querySelectorAll('tbody button')[arguments[0]].click()", row)

    def sorts(self) -> dict[str, str]:
        """Column -> how it is sorted."""
        found: dict[str, str] = self.run(
            "return Object.fromEntries([...document.querySelectorAll('th[aria-sort]')]"
            ".map(th => [th.textContent, th.getAttribute('aria-sort')]))"
        )
        return found

    def type(self, text: str) -> None:
        """Into what has the focus."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.chrome).send_keys(text).perform()

    def tab_to(self, condition: str) -> None:
        """Tabs on until a condition on the focused element holds."""
        from selenium.webdriver.common.keys import Keys

        for _ in range(60):
            self.type(Keys.TAB)
            if self.run(f"const it = document.activeElement; return {condition}"):
                return
        pytest.fail(f"no Tab leads to where {condition}")


@pytest.fixture
def page(chrome: Chrome, saved: tuple[Path, CastReport]) -> Iterator[Page]:
    opened = Page(chrome, saved[0])
    yield opened
    check_quiet(opened)


@pytest.fixture
def report(saved: tuple[Path, CastReport]) -> CastReport:
    return saved[1]


def check_quiet(page: Page) -> None:
    """Nothing was said on the console, and nothing was asked of the network."""
    assert logged(page.chrome, "browser") == []
    events = [
        json.loads(entry["message"])["message"] for entry in logged(page.chrome, "performance")
    ]
    requests = [
        event["params"] for event in events if event["method"] == "Network.requestWillBeSent"
    ]
    here = page.chrome.current_url  # and not the browser's own first page
    asked = [each["request"]["url"] for each in requests if each["documentURL"] == here]
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_the_answer_comes_first(page: Page, report: CastReport) -> None:
    shown = page.run("return [...document.querySelectorAll('.answer')].map(it => it.innerText)")
    answers = sorted(report.answers, key=lambda answer: answer.fits)
    assert [" ".join(text.split()) for text in shown] == [
        " ".join(f"{answer.to}: {answer.text}".split()) for answer in answers
    ]
    top = page.run("return document.querySelector('.answer').getBoundingClientRect().top")
    assert 0 < top < 100
    failing = page.run(
        "return [...document.querySelectorAll('details li')].map(it => it.textContent)"
    )
    assert failing == [escape(failure.text) for failure in report.failures()]


def test_every_row_is_there_the_worst_first(page: Page, report: CastReport) -> None:
    rows = report.worst_first()
    assert page.column("to") == [row.to for row in rows]
    assert page.column("verdict") == [row.verdict.value for row in rows]
    assert page.column("values") == [f"{row.count:,}" for row in rows]


def test_names_are_text(page: Page) -> None:
    assert (
        page.column("tensor").count("</script><img src=x onerror=alert(1)>\\u202e\\x1b[31m'\"&lt;")
        == 3
    )
    assert page.run("return document.querySelectorAll('script').length") == 2
    assert page.run("return document.images.length") == 0


def test_a_click_sorts(page: Page, report: CastReport) -> None:
    page.click("th button", "max |x|")
    assert page.sorts() == {"max |x|": "descending"}
    largest = sorted(
        (row.max_abs for row in report.rows if row.max_abs == row.max_abs), reverse=True
    )
    missing = ["-"] * (len(report.rows) - len(largest))
    assert page.column("max |x|") == [*map(number, largest), *missing]
    page.click("th button", "max |x|")
    assert page.sorts() == {"max |x|": "ascending"}
    assert page.column("max |x|") == [*map(number, largest[::-1]), *missing]
    page.click("th button", "tensor")
    assert page.sorts() == {"tensor": "ascending"}
    names = page.column("tensor")
    assert names == sorted(names, key=lambda name: (name[0].isalpha(), name))
    page.click("th button", "tensor")
    assert page.column("tensor") == names[::-1]


def number(value: float) -> str:
    """As the screen shows it."""
    return f"{value:,.6g}"


def test_what_has_no_number_is_last_either_way(page: Page, report: CastReport) -> None:
    def decibels(value: float) -> str:
        return f"{value:.2f}" if math.isfinite(value) else "exact" if value > 0 else "-inf"

    known = [
        row.sqnr_db for row in report.rows if row.sqnr_db is not None and row.sqnr_db == row.sqnr_db
    ]
    missing = ["-"] * (len(report.rows) - len(known))
    assert missing
    assert {-math.inf, math.inf} < set(known)
    page.click("th button", "SQNR dB")
    assert page.column("SQNR dB") == [*map(decibels, sorted(known, reverse=True)), *missing]
    page.click("th button", "SQNR dB")
    assert page.column("SQNR dB") == [*map(decibels, sorted(known)), *missing]


def test_the_filters_filter(page: Page) -> None:
    every = len(page.column("tensor"))
    page.run("document.getElementById('search').focus()")
    page.type("BLOCK.")
    assert set(page.column("tensor")) == {"block.weight", "block.running_var"}
    assert page.run("return document.querySelector('output').textContent") == f"6 of {every} rows"
    page.run("const it = document.getElementById('choose-to'); it.value = 'bfloat16'; "
             "it.dispatchEvent(new Event('input'))")  # fmt: skip
    assert page.column("to") == ["bfloat16", "bfloat16"]
    page.click("th button", "tensor")  # what is filtered out stays so
    assert page.column("tensor") == ["block.running_var", "block.weight"]
    page.type("nothing such")
    assert page.column("tensor") == []
    assert page.run("return document.querySelector('output').textContent") == f"0 of {every} rows"


def test_the_keyboard_is_enough(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.tab_to("it.id === 'search'")
    page.type("small")
    page.tab_to("it.id === 'choose-verdict'")
    page.tab_to("it.textContent === 'underflow'")
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.type(Keys.ENTER)
    assert page.sorts() == {"underflow": "descending"}
    page.tab_to("it.getAttribute('aria-expanded') === 'false'")
    page.type(Keys.SPACE)
    assert page.run("return document.activeElement.getAttribute('aria-expanded')") == "true"
    assert page.run("return document.querySelectorAll('.detail svg').length") == 1
    page.type(Keys.SPACE)
    assert page.run("return document.querySelectorAll('.detail').length") == 0


def test_everything_has_a_name(page: Page) -> None:
    unnamed = page.run(
        "return [...document.querySelectorAll('input, select, button')]"
        ".filter(it => !it.textContent && !(it.labels && it.labels.length)).length"
    )
    assert unnamed == 0
    assert page.run("return document.documentElement.lang") == "en"
    assert page.run("return document.querySelectorAll('th[scope=col]').length") > 5


class Rectangle(NamedTuple):
    """A bar of a histogram, or of a format's range: what it is, what it says, where it is."""

    kind: str
    says: str
    left: float
    width: float

    @property
    def exponent(self) -> int:
        """Of a bar `2^17: 31`."""
        return int(self.says.partition(":")[0].removeprefix("2^"))

    @property
    def values(self) -> int:
        """How many it stands for."""
        return int(self.says.split()[1].strip(",").replace(",", ""))


def chart_of(page: Page, tensor: str, to: str) -> tuple[list[Rectangle], list[Rectangle]]:
    """Opens a row: the bars of its histogram, and those of the ranges below it."""
    cells = list(zip(page.column("tensor"), page.column("to"), strict=True))
    page.open(cells.index((tensor, to)))
    drawn = [
        Rectangle(*item)
        for item in page.run(
            "return [...document.querySelectorAll('.detail svg rect')].map(it => [it.getAttribute("
            "'class'), it.textContent, +it.getAttribute('x'), +it.getAttribute('width')])"
        )
    ]
    bars = [each for each in drawn if each.kind in ("bar", "over", "under")]
    return bars, [each for each in drawn if each not in bars]


def facts(page: Page, inside: str) -> dict[str, str]:
    """Names and values of a list of facts."""
    found: dict[str, str] = page.run(
        "return Object.fromEntries([...document.querySelectorAll(arguments[0])]"
        ".map(it => [it.children[0].textContent, it.children[1].textContent]))",
        f"{inside} dl > div",
    )
    return found


@pytest.mark.parametrize("to", ["float16", "float8_e5m2"])
def test_a_row_opens_the_exponents_over_the_ranges(page: Page, report: CastReport, to: str) -> None:
    (row,) = (row for row in report.rows if row.tensor == "block.running_var" and row.to == to)
    spec = FORMATS[to]
    bars, ranges = chart_of(page, row.tensor, to)
    assert {bar.exponent: bar.values for bar in bars} == dict(row.exponent_histogram)
    over = {bar.exponent for bar in bars if bar.kind == "over"}
    assert over == {exponent for exponent in row.exponent_histogram if exponent > spec.emax}
    assert over
    # the row's own range comes first, and ends where the bars of larger values begin
    normal = next(each for each in ranges if each.kind == "normal")
    assert normal.says == f"{to}: normal from 2^{spec.emin} to 2^{spec.emax + 1}"
    first = min((bar for bar in bars if bar.kind == "over"), key=lambda bar: bar.exponent)
    gap = (first.exponent - spec.emax - 1) * (first.width + 0.5)
    assert normal.left + normal.width == pytest.approx(first.left - gap, abs=0.01)
    assert facts(page, ".detail")["overflow_count"] == str(row.overflow_count)
    assert facts(page, ".detail")["first overflow"].endswith(row.first_overflow.shown)


def test_what_is_below_the_smallest_value_is_told(page: Page, report: CastReport) -> None:
    bars, ranges = chart_of(page, "small", "float16")
    assert {bar.kind for bar in bars} == {"under"}
    smallest = FORMATS["float16"].smallest_positive.log2_floor
    assert {smallest, smallest - 1} < {bar.exponent for bar in bars}
    for bar in bars:
        assert bar.says.endswith("below the smallest value") is (bar.exponent < smallest)
    subnormal = next(each for each in ranges if each.kind == "subnormal")
    assert subnormal.says == f"float16: subnormal from 2^{smallest} to 2^-14"


def test_a_tensor_of_zeros_has_no_histogram(page: Page) -> None:
    assert chart_of(page, "nothing", "bfloat16") == ([], [])
    assert "No finite values but zeros." in page.run("return document.body.innerText")


def test_how_it_was_made_is_told(
    page: Page, saved: tuple[Path, CastReport], report: CastReport
) -> None:
    text = page.run("return document.body.innerText")
    assert f"fpx cast-compare {saved[0].parent / 'model.safetensors'} --to fp16,bf16,e5m2" in text
    made = facts(page, "main >")
    assert made["fpx"] == fpx.__version__
    assert made["torch"] == report.details.torch
    assert made["device"] == report.details.device


CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
const back = (it) => {
  while (it && getComputedStyle(it).backgroundColor === 'rgba(0, 0, 0, 0)') it = it.parentElement;
  return parse(getComputedStyle(it ?? document.body).backgroundColor);
};
const light = (rgb) => rgb.map(c => c / 255)
  .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
  .reduce((sum, c, at) => sum + c * [.2126, .7152, .0722][at], 0);
let least = Infinity, where = '';
for (const it of document.querySelectorAll('body *')) {
  if (![...it.childNodes].some(child => child.nodeType === 3 && child.textContent.trim())) continue;
  if (!it.getClientRects().length || it.closest('svg') && it.tagName === 'title') continue;
  const style = getComputedStyle(it);
  const [a, b] = [light(parse(it.closest('svg') ? style.fill : style.color)), light(back(it))];
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < least) [least, where] = [ratio, `${it.tagName} ${it.className} ${it.textContent}`];
}
return [least, where, light(parse(getComputedStyle(document.body).backgroundColor))];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(page: Page, scheme: str, tmp_path: Path) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.run("document.querySelectorAll('td button').forEach(it => it.click())")
    least, where, back = page.run(CONTRAST)
    assert least >= 4.5, where  # what WCAG 2.1 asks of text
    assert (back > 0.5) is (scheme == "light")
    assert page.chrome.save_screenshot(str(tmp_path / f"{scheme}.png"))


def test_the_window_is_wide_enough(page: Page) -> None:
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")


def test_five_thousand_tensors_are_quick(chrome: Chrome, tmp_path: Path) -> None:
    tensors = {
        f"layers.{n // 10}.part{n % 10}.weight": torch.ones(4) * 2.0 ** (n % 40)
        for n in range(5000)
    }
    path, saved = tmp_path / "model.safetensors", tmp_path / "x.html"
    save_file(tensors, path)
    call("cast-compare", path, "--to", "fp16,bf16", "--save", saved)
    start = time.monotonic()
    page = Page(chrome, saved)

    def rows() -> int:
        found: int = page.run("return document.querySelectorAll('tbody tr').length")
        return found

    assert 100 <= rows() <= 400
    assert page.run("return document.querySelector('output').textContent") == "10,000 rows"
    page.click("th button", "max |x|")
    page.run("document.getElementById('search').focus()")
    page.type("layers.49")
    output = page.run("return document.querySelector('output').textContent")
    assert output == "220 of 10,000 rows"
    assert time.monotonic() - start < 10  # on a busy machine; 1 on an idle one
    page.run("const it = document.getElementById('search'); it.value = ''; filter()")
    before = rows()
    page.run("window.scrollTo(0, document.body.scrollHeight)")
    deadline = time.monotonic() + 10
    while rows() <= before:  # more rows come when they are scrolled to
        assert time.monotonic() < deadline
        time.sleep(0.05)
    check_quiet(page)


OTHERS = [
    "decode 3.14 nan 1e-400", "encode 1 2 --dtype bf16", "range", "formats", "table fp4",
    "distance 1 2", "decode 0.1 --dtype all", "range --compare fp16 bf16",
    "cast-verify --from uint8", "devices --device cpu --size 1000", "inspect x.npy --stats",
    "diff x.npy x.npy", "cast-compare x.npy",
]  # fmt: skip


@pytest.mark.usefixtures("quick_rates")
@pytest.mark.parametrize("command", OTHERS)
def test_other_reports_have_pages_too(
    chrome: Chrome, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.array([1.0, 2.0, np.nan]))
    code, _, err = call(*command.split(), "--save", "x.html", "--save", "x.json")
    assert code in (0, 1), err
    page = Page(chrome, tmp_path / "x.html")
    title = page.run("return document.querySelector('h1').textContent")
    assert title.startswith(f"fpx {command.split()[0]}")
    page.click("th button")
    check_quiet(page)
