"""Orders of addition in words and as formulas: lanes, blocks, halves, chains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from fpx.report.base import once
from fpx.report.sum_tree import SumTree

_FEW = 4  # terms that are written out; of more, the first two and the last
_TURNS = 3
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Run(NamedTuple):
    """Terms that follow each other and are alike, each as far from the one before.

    Attributes:
        shape: what each is, wherever it lies.
        nodes: of each: one, or several that are added at once.
        start: the smallest leaf of the first.
        shift: from one to the next.
        times: how many.
    """

    shape: int
    nodes: tuple[int, ...]
    start: int
    shift: int
    times: int

    @property
    def stop(self) -> int:
        """The smallest leaf of the last."""
        return self.start + self.shift * (self.times - 1)


class Definition(NamedTuple):
    """A line of a formula: `A(k) = x[k] + x[k+8]`.

    Attributes:
        name: of what is defined; `sum` of the whole.
        takes: whether it depends on a k.
        terms: what is added, in order.
        uses: how often it is used.
    """

    name: str
    takes: bool
    terms: tuple[str, ...]
    uses: int

    @property
    def text(self) -> str:
        """The line."""
        return f"{self.name}{'(k)' if self.takes else ''} = {' + '.join(self.terms)}"


class SumShape:
    """A tree's structure.

    Args:
        tree: the order of additions.
    """

    def __init__(self, tree: SumTree) -> None:
        self._tree = tree
        self._ids: dict[object, int] = {}
        self._shapes = self._of_nodes()

    def _of_nodes(self) -> list[int]:
        """A number for each node: equal where subtrees are, but for where they lie."""
        tree = self._tree
        shapes = [0] * tree.leaf_count
        self._ids["leaf"] = 0
        for at, step in enumerate(tree.steps):
            least = tree.smallest[tree.leaf_count + at]
            key = tuple((shapes[item], tree.smallest[item] - least) for item in step)
            shapes.append(self._ids.setdefault(key, len(self._ids)))
        return shapes

    def terms(self, node: int) -> list[tuple[int, ...]]:
        """What is added one after the other to give a node, from its first addition on.

        The way down goes through the largest operand; where another is more than half as large, it
        ends: they are terms both. Operands of one wide adder are one term.
        """
        tree, found = self._tree, list[tuple[int, ...]]()
        while node >= tree.leaf_count:
            step = tree.operands(node)
            largest = max(step, key=lambda item: tree.sizes[item])
            rest = tuple(item for item in step if item != largest)
            if any(2 * tree.sizes[item] > tree.sizes[largest] for item in rest):
                found += [step] if len(step) > 2 else [(item,) for item in reversed(step)]
                break
            found.append(rest)
            node = largest
        else:
            found.append((node,))
        found.reverse()
        if len(found) > 2 and len(found[0]) == len(found[1]) == 1:  # in either order
            swapped = [found[1], found[0], *found[2:]]
            if len(self._runs(swapped)) < len(self._runs(found)) or (
                self._period(swapped) and not self._period(found)
            ):
                return swapped
        return found

    def _least(self, nodes: Sequence[int]) -> int:
        return min(self._tree.smallest[item] for item in nodes)

    def _runs(self, terms: Sequence[tuple[int, ...]]) -> list[Run]:
        """Terms, with those together that are alike."""
        runs: list[Run] = []
        for nodes in terms:
            start = self._least(nodes)
            shape = self._shape(nodes, start)
            last = runs[-1] if runs else None
            if last is not None and last.shape == shape:
                shift = start - last.stop
                if last.times == 1 or shift == last.shift:
                    runs[-1] = last._replace(shift=shift, times=last.times + 1)
                    continue
            runs.append(Run(shape, nodes, start, 0, 1))
        return runs

    def _period(self, terms: Sequence[tuple[int, ...]]) -> int | None:
        """After how many terms they go on as before, each as far from where it was; None if never.

        Only of terms that are no plain runs.
        """
        starts = [self._least(nodes) for nodes in terms]
        shapes = [self._shape(nodes, start) for nodes, start in zip(terms, starts, strict=True)]
        if len(set(shapes)) > 1:
            return None
        for period in range(1, len(terms) // 2 + 1):
            if len(terms) % period == 0:
                shifts = {b - a for a, b in zip(starts[:-period], starts[period:], strict=True)}
                if len(shifts) == 1:
                    return period
        return None

    def _shape(self, nodes: Sequence[int], start: int) -> int:
        if len(nodes) == 1:
            return self._shapes[nodes[0]]
        smallest = self._tree.smallest
        key = ("once", *((self._shapes[item], smallest[item] - start) for item in nodes))
        return self._ids.setdefault(key, len(self._ids))

    @once
    def order(self) -> str:
        """The order in a few words: `left to right`, `8 lanes`, `pairwise`, `blocks of 4`."""
        tree = self._tree
        if tree.leaf_count < 2 or not tree.steps:
            return "nothing to add"
        if len(tree.steps) == 1 and tree.widest > 2:
            return f"all {tree.widest} at once"
        terms = self.terms(tree.root)
        if tree.widest > 2:
            width = max(map(len, terms))
            return f"blocks of {width}" if width > 1 else f"up to {tree.widest} at once"
        if all(node < tree.leaf_count for (node,) in terms):
            return self._chain([node for (node,) in terms])
        if tree.leaf_count > 3 and tree.depth == (tree.leaf_count - 1).bit_length():
            return "pairwise"
        return self._parts()

    def _chain(self, leaves: Sequence[int]) -> str:
        """One leaf after the other."""
        ways = {
            tuple(range(len(leaves))): "left to right",
            tuple(reversed(range(len(leaves)))): "right to left",
            tuple(leaf ^ 1 for leaf in range(len(leaves))): "odd first",
        }
        return ways.get(tuple(leaves), "one chain")

    def _parts(self) -> str:
        """What chains there are before they are added to each other: lanes, or blocks."""
        tree, parts, found = self._tree, [self._tree.root], "tree"
        while True:
            inside = [[item for (item,) in self.terms(part)] for part in parts]
            chains = all(item < tree.leaf_count for items in inside for item in items)
            if chains and found == "tree":
                found = f"{len(parts)} chains"
            if len(parts) > 1 and any(item < tree.leaf_count for items in inside for item in items):
                return found
            parts = [item for items in inside for item in items]
            parts.sort(key=tree.smallest.__getitem__)
            starts, sizes = [tree.smallest[item] for item in parts], [tree.sizes[i] for i in parts]
            if starts == list(range(len(parts))):
                found = f"{len(parts)} lanes"
            elif starts == [sum(sizes[:at]) for at in range(len(sizes))] and min(sizes[:-1]) > 1:
                found = f"{len(parts)} blocks"
            if min(sizes) == 1:
                return found

    def formula(self) -> list[Definition]:
        """The sum as a definition, and one for every part that it has more than a leaf of."""
        names: dict[int, str] = {}
        uses: dict[int, int] = {}
        waiting: list[tuple[int, int]] = []
        found: list[Definition] = []

        def named(run: Run, node: int) -> str:
            shape = self._shapes[node]
            if shape not in names:
                count = len(names)
                names[shape] = _LETTERS[count % 26] + (str(count // 26) if count >= 26 else "")
                waiting.append((shape, node))
            uses[shape] = uses.get(shape, 0) + run.times
            return names[shape]

        def terms(node: int, base: int | None) -> tuple[str, ...]:
            every = self.terms(node)
            period = self._period(every)
            if period is None or period < 2:
                return tuple(written(every, base))
            turns = [every[at : at + period] for at in range(0, len(every), period)]
            shown = turns if len(turns) <= _TURNS else [*turns[:2], [], turns[-1]]
            return tuple(
                text for turn in shown for text in (written(turn, base) if turn else ["…"])
            )

        def written(terms: Sequence[tuple[int, ...]], base: int | None) -> list[str]:
            return [text for run in self._runs(terms) for text in self._written(run, base, named)]

        found.append(Definition("sum", False, terms(self._tree.root, None), 1))
        while waiting:
            shape, node = waiting.pop(0)
            found.append(
                Definition(names[shape], True, terms(node, self._tree.smallest[node]), uses[shape])
            )
        return found

    def _written(self, run: Run, base: int | None, named: Callable[[Run, int], str]) -> list[str]:
        def one(at: int) -> str:
            texts = []
            for node in run.nodes:
                leaf = self._tree.smallest[node] + run.shift * at
                place = str(leaf) if base is None else _offset(leaf - base)
                plain = node < self._tree.leaf_count
                texts.append(f"x[{place}]" if plain else f"{named(run, node)}({place})")
            if len(texts) == 1:
                return texts[0]
            if run.nodes == tuple(range(run.nodes[0], run.nodes[0] + len(run.nodes))):
                texts = [f"{texts[0]} … {texts[-1]}"]  # leaves side by side
            return f"{{{', '.join(texts)}}}"

        every = [one(at) for at in (range(run.times) if run.times <= _FEW else (0, 1))]
        return every if run.times <= _FEW else [*every, "…", one(run.times - 1)]


def _offset(shift: int) -> str:
    return "k" if shift == 0 else f"k{shift:+d}"
