"""The names of scaled formats: what the options in them say, and the name of one that was changed.

`e4m3fn:channel` is float8_e4m3fn with a float32 scale per channel; `mxfp4:rule=rceil` is MXFP4 with
another scale rule; `e2m1:block=32,scale=e8m0,rule=rceil` is made by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from fpx.core.blocks import BY_NAME
from fpx.core.choices import NonFinite, ScaleRule, Ties, find_rule
from fpx.core.elements import Element
from fpx.core.names import find_format
from fpx.core.scaling import Encoding, Reach, ScaledFormat
from fpx.core.spec import FormatSpec
from fpx.core.variants import FLOAT32, changed, like, usual, usual_top, with_scale
from fpx.errors import InputError
from fpx.words import did_you_mean, listed, quoted


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


def with_options(start: ScaledFormat, text: str, name: str) -> ScaledFormat:
    """A scaled format as the options after the colon of a name ask for, see `find_target`.

    Args:
        start: what the name begins with.
        text: the options.
        name: all of it, which errors show.

    Raises:
        InputError: there is no such option, or they make no sense.
    """
    options = _split(text, name)
    target = start
    scopes = [scope for scope in ("tensor", "channel", "block") if scope in options]
    if len(scopes) > 1:
        raise InputError(f"{quoted(name)}: {listed(scopes)} exclude each other")
    for scope in scopes:
        value = options[scope]
        target = replace(target, reach=Reach.parse(f"{scope}={value}" if value else scope))
    if "scale" in options:
        target = with_scale(target, find_format(options["scale"]))
    if "global" in options:
        asked = options["global"]
        target = replace(target, global_scale=None if asked == "none" else find_format(asked))
    if "like" in options:
        target = like(options["like"], target)
    choices: dict[str, Any] = {}
    for key, (field, parse) in _ENCODINGS.items():
        if key in options:
            choices[field] = parse(options[key])
    if "-0" in options:
        choices["negative_zero"] = _keeps(options["-0"])
    if "top" in options and target.global_scale is None:
        raise InputError(f"{quoted(name)}: top is of formats with a global scale, as nvfp4 has")
    target = replace(target, encoding=changed(target.encoding, choices))
    if "even-bits" in options and target.encoding.rule is not ScaleRule.EVEN:
        raise InputError(f"{quoted(name)}: even-bits is of the rule even")
    return named(target, options)


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


def _keeps(text: str) -> bool:
    if text not in ("keep", "drop"):
        raise InputError(f"-0 is keep or drop, not {quoted(text)}")
    return text == "keep"


def scaled(element: Element, reach: Reach, scale: FormatSpec = FLOAT32) -> ScaledFormat:
    """An element with a scale per tensor, channel or block, by the usual rule of that scale."""
    return named(with_scale(usual(element, reach), scale))


def with_rule(target: ScaledFormat, rule: ScaleRule) -> ScaledFormat:
    """A target by another rule, which brings its own `global_top` and counts the element's bits."""
    return named(replace(target, encoding=changed(target.encoding, {"rule": rule})))


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
    row = BY_NAME.get(base)
    other = usual(target.element, target.reach) if row is None else row
    parts: list[str] = []
    if row is None or target.reach != row.reach:
        parts.append(target.reach.option)
    if target.scale != other.scale:
        parts.append(f"scale={target.scale.name}")
        other = with_scale(other, target.scale)
    if target.global_scale != other.global_scale:
        parts.append(f"global={target.global_scale.name if target.global_scale else 'none'}")
    if "like" in options:
        parts.append(f"like={options['like']}")
        other = like(options["like"], other)
    parts += _differences(target.encoding, other.encoding)
    return replace(target, name=":".join([base, ",".join(parts)]) if parts else base)


def _differences(own: Encoding, other: Encoding) -> Iterator[str]:
    for key, (field, _) in _ENCODINGS.items():
        value = getattr(own, field)
        if value == (usual_top(own.rule) if field == "global_top" else getattr(other, field)):
            continue
        if value is not None:
            yield f"{key}={value:#x}" if _is_code(field) else f"{key}={_shown(value)}"
    if own.negative_zero != other.negative_zero:
        yield f"-0={'keep' if own.negative_zero else 'drop'}"


def _is_code(field: str) -> bool:
    return field in ("zero_block", "least_scale", "zero_scale")


def _shown(value: Any) -> str:
    return str(getattr(value, "value", value))
