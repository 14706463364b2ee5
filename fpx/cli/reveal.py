"""`fpx reveal`: how operations add up on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.failures import finish
from fpx.cli.output import SCREEN, Output
from fpx.cli.progress import ProgressBar
from fpx.core.targets import find_targets, without_scales
from fpx.errors import CheckError, InputError
from fpx.report.reveal import NUMBERS
from fpx.words import listed


@options.output_forms
def reveal(
    operation: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[OPERATION]...",
            help="Torch's sum, mean, cumsum, dot, mm, bmm, linear, conv2d, index_add and others "
            "(a wrong name lists them). Without any: all of them.",
            show_default=False,
        ),
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="MODULE:FUNCTION",
            help="A function of yours instead: of one vector, giving a number, or of matrices "
            "(m, k) and (k, n), giving one of (m, n). It runs in a process of its own.",
            show_default=False,
        ),
    ] = None,
    dtype: options.Formats = None,
    n: Annotated[
        list[str] | None,
        typer.Option(
            "--n",
            metavar="NUMBERS",
            help="How many numbers a vector has, up to 4096: 64, or several as 4,8,16 or 60..70.",
            show_default=False,
        ),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            "--shape",
            metavar="MxKxN",
            help="Of matrices: (m, k) times (k, n), k up to 4096; repeat for several.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[
        list[str] | None,
        typer.Option(
            "--batch",
            metavar="NUMBERS",
            help="Values of m, in place of that of the shapes: 1..256, or 1,2,4.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        list[str] | None,
        typer.Option(
            "--threads", metavar="NUMBERS", help="Threads of torch: 1,2.", show_default=False
        ),
    ] = None,
    layout: Annotated[
        list[str] | None,
        typer.Option(
            "--layout",
            metavar="LAYOUTS",
            help="How operands lie: contiguous, strided (every other element), transposed; several "
            "with commas.",
            show_default=False,
        ),
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Also as torch.compile makes it.")
    ] = False,
    matmul_precision: Annotated[
        list[str] | None,
        typer.Option(
            "--matmul-precision",
            metavar="WORDS",
            help="torch.set_float32_matmul_precision: highest,high,medium.",
            show_default=False,
        ),
    ] = None,
    flag: Annotated[
        list[str] | None,
        typer.Option(
            "--flag",
            metavar="NAME=VALUES",
            help="Any other setting of torch, such as cuda.matmul.allow_tf32=on,off (a wrong name "
            "lists them); repeat for several.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="Where it runs: cpu, cuda, cuda:N or auto.")
    ] = "cpu",
    rows: Annotated[int, typer.Option("--rows", help="Sums that certificates compare.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of their numbers.")] = 0,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Seconds that 64 calls of --with may take.")
    ] = 60.0,
    tree: Annotated[
        bool, typer.Option("--tree", help="Show every order in full, as formulas.")
    ] = False,
    dot: Annotated[
        bool, typer.Option("--dot", help="Print orders for graphviz instead: | dot -Tsvg.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="FILE",
            help="An older report (saved with --save FILE.json): exit 1 where anything computes "
            "another way now.",
            show_default=False,
        ),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help=f"Exit 1 if this holds of a row, such as 'class_count>1': {listed(NUMBERS)}. "
            "Repeat for several.",
            show_default=False,
        ),
    ] = None,
    how: Output = SCREEN,
) -> None:
    """Reveal how operations add up here, from their outputs alone, and prove it.

    In which order numbers are added, how many bits the accumulator has, how it rounds, whether
    products are fused, what happens to subnormals: found by probes, then computed again on random
    numbers and compared bit for bit. What differs in one bit is called a hypothesis.

    [bold]Examples[/bold]

    \b
    fpx reveal                                         all operations, three formats
    fpx reveal sum --n 64 --dtype bf16 --tree          in which order
    fpx reveal sum --n 64 --dot | dot -Tsvg > sum.svg
    fpx reveal linear --shape 1x32x64 --batch 1..256   do a row's bits depend on the batch?
    fpx reveal sum --compile
    fpx reveal mm --dtype bf16 --shape 16x16x16 --shape 17x17x17
    fpx reveal sum --n 40000 --threads 1,2
    fpx reveal --with my.kernels:dot --dtype fp16
    fpx reveal --save before.json
    fpx reveal --against before.json                   after an upgrade
    """
    if dot and how.form != "text":
        raise InputError(f"`dot=True` and --{how.form} exclude each other: choose one")
    from fpx.arithmetic.reveal.reveal import find_circumstances, find_subjects
    from fpx.arithmetic.reveal.reveal import reveal as run
    from fpx.render.reveal_dot import dot_text
    from fpx.report.reveal_before import read_before

    older = None if against is None else read_before(against)
    specs = without_scales(find_targets(dtype or ()))
    circumstances = find_circumstances(
        n=n or (),
        shape=shape or (),
        batch=batch or (),
        threads=threads or (),
        layout=layout or (),
        compiled=compiled,
        matmul_precision=matmul_precision or (),
        flags=flag or (),
    )
    with ProgressBar("probing") as progress:
        report = run(
            find_subjects(operation or (), with_ or (), timeout),
            specs,
            circumstances=circumstances,
            device=device,
            rows=rows,
            seed=seed,
            trees=tree,
            conditions=fail_if or (),
            progress=progress,
        )
    if older is not None:
        report = report.against(older.compared(report.rows, report.environment()))
    changes = report.changes
    cut = f"interrupted after {len(report.rows):,} rows: they are on stdout"
    finish(
        report,
        how,
        draw=dot_text if dot else None,
        took=report.details.versions.device if device == "auto" else None,
        notes=() if changes is None else changes.lines(),
        interrupted=None if report.complete else cut,
        unchecked=report.unchecked,
        failures=report.failures(),
    )
    if changes is not None and changes.changed:
        raise CheckError("; ".join(change.text for change in changes.changed))
