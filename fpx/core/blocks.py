"""The scaled formats that people ship, one row each, and how a name finds or makes one.

`e4m3fn:channel` is float8_e4m3fn with a float32 scale per channel; `mxfp4:rule=rceil` is MXFP4 with
another scale rule; `e2m1:block=32,scale=e8m0,rule=rceil` is made by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import prod
from types import MappingProxyType
from typing import Any

from fpx.core.choices import LIKE, POWERS_OF_TWO, NonFinite, ScaleRule, Ties, find_rule
from fpx.core.elements import CODEBOOKS, Codebook, Element, is_format, largest
from fpx.core.formats import FORMATS
from fpx.core.names import ALL, find_format, find_formats
from fpx.core.scaling import Encoding, Reach, ScaledFormat, Scope
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.words import did_you_mean, listed, quoted

Target = FormatSpec | ScaledFormat
"""What a tensor can be cast to."""


_E8M0, _E4M3, _FLOAT32 = (FORMATS[name] for name in ("float8_e8m0fnu", "float8_e4m3fn", "float32"))
_MX = "OCP Microscaling Formats (MX) v1.0, 5.2"
_NVFP4 = "Pretraining Large Language Models with NVFP4, 2025 (arXiv:2509.25149), B"
_ONE = 0x3F800000  # of float32


def _mx(name: str, element: Element, aliases: str = "") -> ScaledFormat:
    return ScaledFormat(
        name, element, _E8M0, Reach(Scope.BLOCK, columns=32),
        Encoding(ScaleRule.FLOOR, zero_block=0), aliases=tuple(aliases.split()), citation=_MX,
    )  # fmt: skip


def _bitsandbytes(name: str) -> ScaledFormat:
    codebook = CODEBOOKS[name]
    return ScaledFormat(
        name, codebook, _FLOAT32, Reach(Scope.BLOCK, columns=64),
        Encoding(
            # just between two it takes the smaller number, here the smaller magnitude
            ScaleRule.AMAX, Ties.ZERO, zero_block=0, nonfinite=NonFinite.ELEMENT,
            negative_zero=False,
        ),
        citation=codebook.citation,
    )  # fmt: skip


_ROWS = (
    _mx("mxfp8_e4m3", FORMATS["float8_e4m3fn"], "mxfp8_e4m3fn mxfp8"),
    _mx("mxfp8_e5m2", FORMATS["float8_e5m2"]),
    _mx("mxfp6_e3m2", FORMATS["float6_e3m2fn"], "mxfp6_e3m2fn"),
    _mx("mxfp6_e2m3", FORMATS["float6_e2m3fn"], "mxfp6_e2m3fn"),
    _mx("mxfp4", FORMATS["float4_e2m1fn"], "mxfp4_e2m1 mxfp4_e2m1fn"),
    _mx("mxint8", CODEBOOKS["int8"]),
    ScaledFormat(
        "nvfp4", FORMATS["float4_e2m1fn"], _E4M3, Reach(Scope.BLOCK, columns=16),
        Encoding(ScaleRule.AMAX, zero_block=0), global_scale=_FLOAT32, citation=_NVFP4,
    ),
    _bitsandbytes("nf4"),
    _bitsandbytes("fp4_bnb"),
)  # fmt: skip


BLOCK_FORMATS: Mapping[str, ScaledFormat] = MappingProxyType({row.name: row for row in _ROWS})
"""Every listed block format by name."""


_BY_NAME = {
    name: row for row in _ROWS for name in (row.name, *row.aliases)
}  # mxfp8 alone is E4M3's: the one that every library defaults to


def like(library: str, target: ScaledFormat) -> ScaledFormat:
    """A format as a library encodes it.

    Raises:
        InputError: no such library here, or it does not write this format.
    """
    rows = LIKE.get(library.strip().lower())
    if rows is None:
        meant = did_you_mean(library, LIKE)
        raise InputError(
            f"no encoder is called {quoted(library)}{meant or ': use one of ' + listed(LIKE, 40)}"
        )
    base = target.name.partition(":")[0]
    found = rows.get(base)
    if found is None:
        raise InputError(
            f"{library.strip().lower()} writes no {base}, as far as fpx knows: it has "
            f"{listed(rows, 40)}"
        )
    return replace(target, encoding=_changed(target.encoding, found))


# -- names -----------------------------------------------------------------------------------------


def _parse_code(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise InputError(f"{quoted(text)} is no code of a scale: write 0x38") from None


def _parse_top(text: str) -> int:
    if text not in ("256", "448"):
        raise InputError(f"the largest scale under a global one is 448 or 256, not {quoted(text)}")
    return int(text)


def _parse_bits(text: str) -> int:
    if not re.fullmatch("[0-9]{1,2}", text):
        raise InputError(f"even-bits is a number of fraction bits, not {quoted(text)}")
    return int(text)


def _member(kind: type[Any], what: str) -> Any:
    def parse(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            known = listed((each.value for each in kind), 40)
            raise InputError(f"{what} is one of {known}, not {quoted(text)}") from None

    return parse


_ENCODINGS: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        "rule": ("rule", find_rule),
        "ties": ("ties", _member(Ties, "ties")),
        "zeros": ("zero_block", _parse_code),
        "least": ("least_scale", _parse_code),
        "underflow": ("zero_scale", _parse_code),
        "nan": ("nonfinite", _member(NonFinite, "nan")),
        "top": ("global_top", _parse_top),
        "even-bits": ("even_bits", _parse_bits),
    }
)
"""Option in the name of a format -> field of `Encoding`, and how it is read."""

_OPTIONS = ("tensor", "channel", "block", "scale", "global", "like", *_ENCODINGS, "-0")


def find_target(name: str | Target) -> Target:
    """The format of that name, scaled or not: `bf16`, `mxfp4`, `e4m3fn:channel`, see above.

    Options after the colon: `tensor`, `channel`, `channel=AXIS`, `block=N`, `block=NxM` (what
    shares a scale), `scale=FORMAT`, `global=FORMAT|none`, `like=LIBRARY`, `rule=RULE`,
    `ties=even|away|zero`, `zeros=CODE`, `least=CODE`, `underflow=CODE`, `nan=block|element`,
    `top=448|256`, `even-bits=N` and `-0=keep|drop`; see `ScaledFormat` and `Encoding`.

    Raises:
        InputError: no such format, or options that make no sense.
    """
    if not isinstance(name, str):
        return name
    base, colon, options = name.strip().partition(":")
    row = _BY_NAME.get(base.strip().lower())
    if not colon:
        return find_format(name, _BY_NAME) if row is None else row
    start = row if row is not None else _bare(base)
    return _with_options(start, _split(options, name), name)


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


def _split(options: str, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in options.split(","):
        key, _, value = each.strip().lower().partition("=")
        if key not in _OPTIONS:
            raise InputError(
                f"{quoted(name)}: no option is called {quoted(key)}"
                f"{did_you_mean(key, _OPTIONS) or ': use ' + listed(_OPTIONS, 40)}"
            )
        if key in found:
            raise InputError(f"{quoted(name)}: {key} comes twice")
        found[key] = value
    return found


def _with_options(start: ScaledFormat, options: Mapping[str, str], name: str) -> ScaledFormat:
    target = start
    scopes = [key for key in ("tensor", "channel", "block") if key in options]
    if len(scopes) > 1:
        raise InputError(f"{quoted(name)}: {listed(scopes)} exclude each other")
    for key in scopes:
        value = options[key]
        target = replace(target, reach=Reach.parse(f"{key}={value}" if value else key))
    if "scale" in options:
        target = with_scale(target, find_format(options["scale"]))
    if "global" in options:
        asked = options["global"]
        target = replace(target, global_scale=None if asked == "none" else find_format(asked))
    if "like" in options:
        target = like(options["like"], target)
    changed: dict[str, Any] = {}
    for key, (field, parse) in _ENCODINGS.items():
        if key in options:
            changed[field] = parse(options[key])
    if "-0" in options:
        changed["negative_zero"] = _keeps(options["-0"])
    if "top" in options and target.global_scale is None:
        raise InputError(f"{quoted(name)}: top is of formats with a global scale, as nvfp4 has")
    target = replace(target, encoding=_changed(target.encoding, changed))
    if "even-bits" in options and target.encoding.rule is not ScaleRule.EVEN:
        raise InputError(f"{quoted(name)}: even-bits is of the rule even")
    return named(target, options)


def _keeps(text: str) -> bool:
    if text not in ("keep", "drop"):
        raise InputError(f"-0 is keep or drop, not {quoted(text)}")
    return text == "keep"


def scaled(element: Element, reach: Reach, scale: FormatSpec = _FLOAT32) -> ScaledFormat:
    """An element with a scale per tensor, channel or block, by the usual rule of that scale."""
    encoding = Encoding(ScaleRule.AMAX, zero_block=_ONE, nonfinite=NonFinite.ELEMENT)
    target = ScaledFormat(element.name, element, _FLOAT32, reach, encoding)
    return named(with_scale(target, scale))


def with_scale(target: ScaledFormat, scale: FormatSpec) -> ScaledFormat:
    """A target with scales of another format; the rule and the scale of zeros follow it."""
    if scale == target.scale:
        return target
    powers = scale.fraction_bits == 0
    encoding = replace(
        target.encoding,
        rule=ScaleRule.RCEIL if powers else ScaleRule.AMAX,
        zero_block=_ONE if scale is _FLOAT32 else 0,
        nonfinite=NonFinite.ELEMENT if scale.nan_code is None else target.encoding.nonfinite,
    )
    return replace(target, scale=scale, encoding=encoding)


def with_rule(target: ScaledFormat, rule: ScaleRule) -> ScaledFormat:
    """A target by another rule, which brings its own `global_top` and counts the element's bits."""
    return named(replace(target, encoding=_changed(target.encoding, {"rule": rule})))


def _changed(encoding: Encoding, choices: Mapping[str, Any]) -> Encoding:
    """Other choices, with what belongs to the rule that was before left behind."""
    rule = choices.get("rule", encoding.rule)
    own = {} if rule is encoding.rule else {"global_top": _usual_top(rule), "even_bits": None}
    return replace(encoding, **{**own, **choices})


def _usual_top(rule: ScaleRule) -> int:
    """448, the largest E4M3; for `4over6` 256, so that 3/2 of it, 384, is one too."""
    return 256 if rule is ScaleRule.FOUR_OVER_SIX else 448


def with_library(target: ScaledFormat, library: str) -> ScaledFormat:
    """A target as a library encodes it, see `like`."""
    return named(like(library, target), {"like": library.strip().lower()})


def named(target: ScaledFormat, options: Mapping[str, str] = MappingProxyType({})) -> ScaledFormat:
    """The target with the name that says how it differs from the usual one of its kind.

    Raises:
        InputError: it has no meaning, see `ScaledFormat.check`.
    """
    target.check()
    base = target.name.partition(":")[0]
    row = _BY_NAME.get(base)
    parts: list[str] = []
    if row is None:
        parts.append(target.reach.option)
        usual = ScaledFormat(
            base, target.element, _FLOAT32, target.reach,
            Encoding(ScaleRule.AMAX, zero_block=_ONE, nonfinite=NonFinite.ELEMENT),
        )  # fmt: skip
    else:
        usual = row
        if target.reach != row.reach:
            parts.append(target.reach.option)
    if target.scale != usual.scale:
        parts.append(f"scale={target.scale.name}")
        usual = with_scale(usual, target.scale)
    if target.global_scale != usual.global_scale:
        parts.append(f"global={target.global_scale.name if target.global_scale else 'none'}")
    if "like" in options:
        parts.append(f"like={options['like']}")
        usual = like(options["like"], usual)
    parts += _differences(target, usual)
    return replace(target, name=":".join([base, ",".join(parts)]) if parts else base)


def _differences(target: ScaledFormat, usual: ScaledFormat) -> Iterator[str]:
    own, other = target.encoding, usual.encoding
    for key, (field, _) in _ENCODINGS.items():
        value = getattr(own, field)
        if value == (_usual_top(own.rule) if field == "global_top" else getattr(other, field)):
            continue
        if value is not None:
            yield f"{key}={value:#x}" if _is_code(field) else f"{key}={_shown(value)}"
    if own.negative_zero != other.negative_zero:
        yield f"-0={'keep' if own.negative_zero else 'drop'}"


def _is_code(field: str) -> bool:
    return field in ("zero_block", "least_scale", "zero_scale")


def _shown(value: Any) -> str:
    return str(getattr(value, "value", value))


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


def split_names(text: str) -> list[str]:
    """`bf16,e2m1:block=32,scale=e8m0` in its two names; options belong to the name before them."""
    found: list[str] = []
    for part in text.split(","):
        key = part.partition("=")[0].strip().lower()
        continues = found and ":" in found[-1] and ":" not in part and key in _OPTIONS
        if continues:
            found[-1] += f",{part}"
        else:
            found.append(part)
    return found


def find_targets(
    names: str | Target | Iterable[str | Target],
    listed_ones: Iterable[FormatSpec] = tuple(FORMATS.values()),
) -> list[Target]:
    """The formats of some names, each once, scaled ones too; as `find_formats`.

    Raises:
        InputError: no such format.
    """
    each = [names] if isinstance(names, (str, FormatSpec, ScaledFormat)) else names
    known = tuple(listed_ones)
    found: dict[Target, None] = {}
    for name in each:
        for part in split_names(name) if isinstance(name, str) else [name]:
            if isinstance(part, ScaledFormat):
                found[part] = None
            elif isinstance(part, str) and (":" in part or part.strip().lower() in _BY_NAME):
                found[find_target(part)] = None
            else:
                found.update(dict.fromkeys(find_formats(part, known, _BY_NAME)))
    return list(found)


def find_listed(names: str | Target | Iterable[str | Target]) -> list[Target]:
    """As `find_targets`, but that `all` stands for the listed block formats too.

    Raises:
        InputError: no such format.
    """
    each = [names] if isinstance(names, (str, FormatSpec, ScaledFormat)) else list(names)
    found = dict.fromkeys(find_targets(each))
    texts = (part for name in each if isinstance(name, str) for part in split_names(name))
    if any(part.strip().lower() == ALL for part in texts):
        found |= dict.fromkeys(_ROWS)
    return list(found)


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


def rules_for(target: ScaledFormat) -> tuple[ScaleRule, ...]:
    """The rules worth comparing for a target: those of powers of two, or for other scales amax."""
    if target.scale.fraction_bits == 0:
        even = not isinstance(target.element, FormatSpec) and target.element.fraction_bits is None
        return tuple(r for r in POWERS_OF_TWO if not (even and r is ScaleRule.EVEN))
    if target.element.name == "float4_e2m1fn" and target.global_scale is not None:
        return (ScaleRule.AMAX, ScaleRule.FOUR_OVER_SIX)
    return (ScaleRule.AMAX, ScaleRule.RCEIL)


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
            target = scaled(target, reach, scale or _FLOAT32)
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


_TABLES = frozenset(CODEBOOKS) - frozenset(_BY_NAME)
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
    each = [names] if isinstance(names, (str, FormatSpec, ScaledFormat)) else names
    known = tuple(listed_ones)
    found: list[Target | Codebook] = []
    for part in (p for n in each for p in (split_names(n) if isinstance(n, str) else [n])):
        key = part.strip().lower() if isinstance(part, str) else ""
        if key not in _TABLES:
            found += find_targets(part, known)
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
