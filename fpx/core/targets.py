"""What a tensor can be cast to, by name: formats, and those with scales."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import prod

from fpx.core.blocks import BLOCK_FORMATS, BY_NAME
from fpx.core.choices import ScaleRule, find_rule
from fpx.core.elements import CODEBOOKS, Codebook, Element, is_format, largest
from fpx.core.formats import FORMATS
from fpx.core.names import ALL, find_format, find_formats
from fpx.core.scaled_names import scaled, split_names, with_library, with_options, with_rule
from fpx.core.scaling import Reach, ScaledFormat, Scope
from fpx.core.spec import FormatSpec
from fpx.core.variants import FLOAT32, rules_for
from fpx.errors import InputError

Target = FormatSpec | ScaledFormat
"""What a tensor can be cast to."""


def find_target(name: str | Target) -> Target:
    """The format of that name, scaled or not: `bf16`, `mxfp4`, `e4m3fn:channel`.

    Options after the colon: `tensor`, `channel`, `channel=AXIS`, `block=N`, `block=NxM` (what
    shares a scale), `scale=FORMAT`, `global=FORMAT|none`, `like=LIBRARY`, `rule=RULE`,
    `ties=even|away|zero`, `zeros=CODE`, `least=CODE`, `underflow=CODE`, `nan=block|element`,
    `top=448|256`, `even-bits=N` and `-0=keep|drop`; see `ScaledFormat` and `Encoding`.

    Raises:
        InputError: no such format, or options that make no sense.
    """
    if isinstance(name, ScaledFormat):
        return name
    if not isinstance(name, str):
        return find_format(name)
    base, colon, options = name.strip().partition(":")
    row = BY_NAME.get(base.strip().lower())
    if not colon:
        return find_format(name, BY_NAME) if row is None else row
    start = row if row is not None else _bare(base)
    return with_options(start, options, name)


def _bare(base: str) -> ScaledFormat:
    """An element with the usual float32 scale, of a reach yet to be said."""
    key = base.strip().lower()
    element: Element = CODEBOOKS[key] if key in CODEBOOKS else _element(base)
    return scaled(element, Reach(Scope.TENSOR))


_OCP = {"fp8": "e4m3fn"} | {name: f"{name}fn" for name in ("e4m3", "e3m2", "e2m3", "e2m1")}


def _element(name: str) -> FormatSpec:
    key = name.strip().lower()
    # beside a scale there is no doubt: these are the OCP's elements
    return find_format(_OCP.get(key, name))


def largest_of(target: Target) -> Fraction:
    """The largest value of a target."""
    if isinstance(target, FormatSpec):
        return target.max_finite.fraction
    scales = [target.scale] + ([target.global_scale] if target.global_scale else [])
    return prod((scale.max_finite.fraction for scale in scales), start=largest(target.element))


def bits_of(target: Target) -> float:
    """Bits of an element, with its share of a block's scale."""
    return target.bits if isinstance(target, FormatSpec) else target.bits_per_element


# -- several ---------------------------------------------------------------------------------------


def find_targets(
    names: str | Target | Iterable[str | Target],
    listed_ones: Iterable[FormatSpec] = tuple(FORMATS.values()),
) -> list[Target]:
    """The formats of some names, each once, scaled ones too; as `find_formats`.

    Raises:
        InputError: no such format.
    """
    known = tuple(listed_ones)
    return list(dict.fromkeys(each for part in _parts(names) for each in _targets_of(part, known)))


def find_listed(names: str | Target | Iterable[str | Target]) -> list[Target]:
    """As `find_targets`, but that `all` stands for the listed block formats too.

    Raises:
        InputError: no such format.
    """
    parts = list(_parts(names))
    found = [each for part in parts for each in _targets_of(part, tuple(FORMATS.values()))]
    if any(isinstance(part, str) and part.strip().lower() == ALL for part in parts):
        found += BLOCK_FORMATS.values()
    return list(dict.fromkeys(found))


def _parts(names: str | Target | Iterable[str | Target]) -> Iterator[str | Target]:
    """One name after the other, where a text may be several."""
    each = [names] if isinstance(names, (str, FormatSpec, ScaledFormat)) else names
    for name in each:
        yield from split_names(name) if isinstance(name, str) else [name]


def _targets_of(part: str | Target, listed_ones: Sequence[FormatSpec]) -> Sequence[Target]:
    """The formats of one name, several if it is that of a group."""
    if isinstance(part, ScaledFormat):
        return [part]
    if isinstance(part, str) and (":" in part or part.strip().lower() in BY_NAME):
        return [find_target(part)]
    return find_formats(part, listed_ones, BY_NAME)


def without_scales(targets: Iterable[Target]) -> list[FormatSpec]:
    """The targets, where only formats of single numbers have a meaning.

    Raises:
        InputError: one of them is numbers with scales.
    """
    found: list[FormatSpec] = []
    for target in targets:
        if isinstance(target, ScaledFormat):
            also = f"; its elements are {target.element.name}" if is_format(target.element) else ""
            raise InputError(
                f"{target.name} is numbers with scales: fpx decode --dtype {target.name} shows "
                f"them{also}"
            )
        found.append(target)
    return found


def with_scales(targets: Iterable[Target]) -> list[ScaledFormat]:
    """The targets, where only formats with scales have a meaning.

    Raises:
        InputError: one of them is a format of single numbers.
    """
    every = list(targets)
    found = [target for target in every if isinstance(target, ScaledFormat)]
    for target in every:
        if isinstance(target, FormatSpec):
            but = f"{found[0].name} is numbers with scales and " if found else ""
            raise InputError(
                f"{but}{target.name} has no scale: "
                + (
                    "show them one after the other"
                    if found
                    else f"name a format such as mxfp4, or {target.name}:block=32"
                )
            )
    return found


def find_plain(name: str | Target) -> FormatSpec:
    """The format of that name, where only those of single numbers have a meaning.

    Raises:
        InputError: no such format, or it is numbers with scales.
    """
    return without_scales([find_target(name)])[0]


def with_scaling(
    targets: Sequence[Target | Codebook],
    reach: Reach | None = None,
    scale: FormatSpec | None = None,
    rules: Sequence[ScaleRule] | None = (),
    library: str | None = None,
) -> list[Target]:
    """Targets with scales: what `--scale`, `--scale-format`, `--scale-rule` and `--like` ask for.

    Args:
        targets: formats, and tables of elements where `reach` says what shares a scale; block
            formats keep the blocks and scales that they have.
        reach: what shares a scale, of formats that have none yet.
        scale: the format of those scales; float32 where it is None.
        rules: each makes a target of its own; None stands for `rules_for` each target.
        library: whose encoder.

    Raises:
        InputError: an option that applies to none of the targets, or makes no sense for one.
    """
    if reach is not None and all(isinstance(target, ScaledFormat) for target in targets):
        raise InputError("`scale` is of formats without scales: the targets have theirs already")
    if scale is not None and reach is None:
        raise InputError("`scale_format` is of the scales of `scale`: say what shares one")
    made: list[Target] = []
    for target in targets:
        if not isinstance(target, ScaledFormat) and reach is not None:
            target = scaled(target, reach, scale or FLOAT32)
        if isinstance(target, ScaledFormat):
            if library is not None:
                target = with_library(target, library)
            wanted = rules_for(target) if rules is None else rules
            made += [with_rule(target, rule) for rule in wanted] or [target]
        elif isinstance(target, Codebook):
            raise InputError(f"{target.name} is nothing without scales: say what shares one")
        else:
            made.append(target)
    if (rules is None or rules or library) and not any(isinstance(t, ScaledFormat) for t in made):
        raise InputError("none of the targets has a scale: say what shares one (`scale`)")
    return list(dict.fromkeys(made))


_TABLES = frozenset(CODEBOOKS) - frozenset(BY_NAME)
"""Elements that are no target before it is said what shares a scale."""


def asked_targets(
    names: str | Target | Iterable[str | Target],
    listed_ones: Iterable[FormatSpec],
    *,
    scale: str | None = None,
    scale_format: str | None = None,
    scale_rule: Iterable[str] = (),
    like: str | None = None,
) -> list[Target]:
    """Targets by what a user writes; see `with_scaling`.

    Args:
        names, listed_ones: as in `find_targets`.
        scale: what shares a scale: `tensor`, `channel`, `channel:AXIS`, `block:N` or `block:NxM`.
        scale_format: the format of those scales.
        scale_rule: names of rules; `all` is every one worth comparing.
        like: the name of a library.

    Raises:
        InputError: as those.
    """
    asked = [each.strip().lower() for each in scale_rule]
    reach = None if scale is None else Reach.parse(scale)
    known = tuple(listed_ones)
    found: list[Target | Codebook] = []
    for part in _parts(names):
        key = part.strip().lower() if isinstance(part, str) else ""
        if key not in _TABLES:
            found += _targets_of(part, known)
        elif reach is not None:
            found.append(CODEBOOKS[key])
        else:
            raise InputError(f"{key} is nothing without scales: say what shares one (`scale`)")
    return with_scaling(
        found,
        reach,
        None if scale_format is None else find_format(scale_format),
        None if ALL in asked else list(map(find_rule, asked)),
        like,
    )
