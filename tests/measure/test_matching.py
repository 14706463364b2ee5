"""Which tensor of one checkpoint is which of another."""

from __future__ import annotations

import torch

from fpx.measure.matching import by_name, candidates, digest, is_nameless, matched
from fpx.tensors.entry import Source
from fpx.tensors.memory import entry_of, source_of


def names(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> list[tuple[str, str, bool]]:
    """(name in A, name in B, renamed) of every match; what is not there is ""."""
    left, right = (by_name([source_of(side)]) for side in (a, b))
    contents = {id(m.entry): digest(m.entry, lambda _: None) for m in candidates(left, right)}
    return [
        (m.a.entry.name if m.a else "", m.b.entry.name if m.b else "", m.renamed)
        for m in matched(left, right, contents)
    ]


def test_what_is_read_for_its_content() -> None:
    """Those without a namesake that have a counterpart of their dtype and shape."""
    a = {"same": torch.ones(2), "x": torch.ones(3), "y": torch.ones(4), "z": torch.ones(5)}
    b = {"same": torch.zeros(2), "u": torch.ones(3), "v": torch.ones(4).half(), "w": torch.ones(7)}
    left, right = (by_name([source_of(side)]) for side in (a, b))
    assert [item.entry.name for item in candidates(left, right)] == ["x", "u"]
    assert names(a, b) == [
        ("same", "same", False), ("x", "u", True), ("y", "", False), ("z", "", False),
        ("", "v", False), ("", "w", False),
    ]  # fmt: skip


def test_equal_contents_go_by_the_ends_of_names() -> None:
    zero = torch.zeros(3)
    a = {f"m.{at}.bias": zero for at in (0, 1, 2)} | {"m.norm": zero, "extra": zero}
    b = {f"{at}.bias": zero for at in (2, 1, 0)} | {"x.norm": zero}
    assert names(a, b) == [
        ("m.0.bias", "0.bias", True), ("m.1.bias", "1.bias", True), ("m.2.bias", "2.bias", True),
        ("m.norm", "x.norm", True), ("extra", "", False),
    ]  # fmt: skip
    # in the order that they come in where no name tells
    assert names({"a": zero, "b": zero}, {"c": zero, "d": zero, "e": zero}) == [
        ("a", "c", True), ("b", "d", True), ("", "e", False),
    ]  # fmt: skip


def test_a_digest_is_of_the_bits_in_row_major_order() -> None:
    def of(x: torch.Tensor) -> bytes:
        return digest(entry_of("x", x), lambda _: None)

    x = torch.randn(5, 7)
    turned = x.t().contiguous().t()
    assert of(x) == of(turned) != of(x.t())
    assert of(torch.tensor([0.0])) != of(torch.tensor([-0.0]))
    assert of(torch.ones(3, dtype=torch.float8_e5m2)) == of(torch.ones(3, dtype=torch.float8_e5m2))
    wide = torch.arange(3.0 * (1 << 20)).view(3, 1 << 20)  # blocks of its columns have gaps
    assert of(wide) == of(wide.t().contiguous().t())
    heard: list[int] = []
    digest(entry_of("x", torch.zeros(1 << 20)), heard.append)
    assert sum(heard) == 1 << 20
    assert len(heard) > 1


def test_prefixes_are_left_out_once() -> None:
    found = by_name([source_of({"m.m.x": torch.ones(1), "y": torch.ones(1)})], ["m.", "n."])
    assert list(found) == ["m.x", "y"]
    assert found["m.x"].entry.name == "m.m.x"


def test_who_has_no_name() -> None:
    one, two = source_of(torch.ones(1)), source_of({"w": torch.ones(1)})
    assert is_nameless([one])
    assert not is_nameless([two])
    assert not is_nameless([one, one])
    assert is_nameless([Source("x/w.npy", two.entries, kind="npy")])
    assert not is_nameless([Source("w", two.entries, kind="safetensors")])
