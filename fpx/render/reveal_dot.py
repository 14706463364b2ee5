"""Orders of addition for graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from fpx.report.reveal import RevealReport, RevealRow
from fpx.words import escape


def dot_text(report: RevealReport) -> str:
    """A graph for each row that has an order: leaves above, the sum below."""
    return "\n".join(line for row in report.rows for line in _graph(row))


def _graph(row: RevealRow) -> Iterator[str]:
    tree = None if row.computation is None else row.computation.tree
    title = escape(row.title).replace("\\", "\\\\").replace('"', '\\"')
    yield f'digraph "{title}" {{'
    yield '  node [shape=circle, fontname=monospace, label="+"]'
    if tree is None:
        why = row.reason or "the sum is exact: no order shows"
        yield f'  none [shape=plaintext, label="{escape(why)}"]'
    else:
        fused = row.computation.whole if row.computation is not None else ()
        for leaf in range(tree.leaf_count):
            more = ", style=dashed" if fused and fused[leaf] else ""
            yield f'  n{leaf} [shape=plaintext, label="x{leaf}"{more}]'
        for at, step in enumerate(tree.steps):
            node = tree.leaf_count + at
            if len(step) > 2:
                yield f'  n{node} [shape=box, label="+ of {len(step)}"]'
            for item in step:
                yield f"  n{item} -> n{node}"
    yield "}"
