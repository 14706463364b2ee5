"""`--as`: how a weight is stored, as the user says it.

W=FORMAT[,scale=NAME][,global=NAME][,divides][,nibbles=low|high|halves|bytes][,swizzled][,shape=AxB]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from fpx.core.elements import Element
from fpx.core.names import find_format
from fpx.core.packing import Packing
from fpx.core.scaling import Reach, ScaledFormat, Scope
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_target
from fpx.errors import InputError
from fpx.tensors.quantised.geometry import swizzled_count
from fpx.tensors.quantised.layouts import ENDINGS
from fpx.tensors.quantised.recipe import Recipe, Scales, Stored
from fpx.words import did_you_mean, listed, quoted

FORM = (
    "W=FORMAT[,scale=NAME][,global=NAME][,divides][,nibbles=low|high|halves|bytes][,swizzled]"
    "[,shape=AxB]"
)
_NIBBLES = {
    "low": Packing.LOW_FIRST,
    "high": Packing.HIGH_FIRST,
    "halves": Packing.SPLIT_HALVES,
    "bytes": Packing.BYTES,
}
_FLAGS = ("divides", "swizzled")
_VALUES = ("scale", "global", "nibbles", "shape")
_GLOBALS = ("_scale_2", "_global_scale", "_per_tensor_scale", ".global_scale")
_TABLES = ("nf4", "fp4_bnb")  # whose blocks go on from row to row

Look = Callable[[str], "Stored | None"]


@dataclass(frozen=True)
class Told:
    """What a user said of one weight.

    Attributes:
        text: as it was written.
        weight: the name of its codes.
        target: what they are.
        scale, global_: names of tensors; empty where they were not named.
        divides: whether the global scale divides; where there is none, the scale.
        packing: how codes lie in bytes; None is the usual way.
        swizzled: whether scales lie in tiles of 128 x 4.
        shape: of the numbers; empty is what the stored shape gives.
    """

    text: str
    weight: str
    target: FormatSpec | ScaledFormat
    scale: str = ""
    global_: str = ""
    divides: bool = False
    packing: Packing | None = None
    swizzled: bool = False
    shape: tuple[int, ...] = ()

    def wrong(self, why: str) -> InputError:
        """The error that this cannot be."""
        return InputError(f"`as_` {quoted(self.text, 120)}: {why}")


def parse(text: str) -> Told:
    """What an `--as` says.

    Raises:
        InputError: it says nothing that makes sense.
    """
    weight, sign, rest = text.partition("=")
    if not sign or not weight.strip() or not rest.strip():
        raise InputError(f"`as_` {quoted(text, 120)}: write {FORM}")
    parts = [part.strip() for part in rest.split(",")]
    target, own = [parts[0]], dict[str, str]()
    for part in parts[1:]:
        key, _, value = part.partition("=")
        key = key.strip().lower()
        if ":" in target[0] and _is_of_format(key, value):
            target.append(part)
            continue
        if key not in (*_FLAGS, *_VALUES) or (key in _FLAGS) is bool(value):
            meant = did_you_mean(key, (*_FLAGS, *_VALUES))
            raise InputError(f"`as_` {quoted(text, 120)}: no {quoted(part)}{meant}; write {FORM}")
        if key in own:
            raise InputError(f"`as_` {quoted(text, 120)}: {key} comes twice")
        own[key] = value.strip()
    nibbles = own.get("nibbles")
    if nibbles is not None and nibbles not in _NIBBLES:
        raise InputError(f"`as_` {quoted(text, 120)}: nibbles are {listed(_NIBBLES)}")
    try:
        found = find_target(",".join(target))
    except InputError as error:
        raise InputError(f"`as_` {quoted(text, 120)}: {error}") from None
    return Told(
        text, weight.strip(), found, own.get("scale", ""), own.get("global", ""),
        "divides" in own, None if nibbles is None else _NIBBLES[nibbles], "swizzled" in own,
        _shape(own["shape"], text) if "shape" in own else (),
    )  # fmt: skip


def _is_of_format(key: str, value: str) -> bool:
    """Whether it belongs to the name of the format: `e2m1:block=32,scale=e8m0`."""
    if key in _FLAGS or key in ("nibbles", "shape"):
        return False
    if key not in ("scale", "global"):
        return True
    if value == "none":
        return True
    try:
        find_format(value)
    except InputError:
        return False
    return True


def _shape(text: str, whole: str) -> tuple[int, ...]:
    try:
        found = tuple(int(each) for each in text.lower().split("x"))
    except ValueError:
        found = (-1,)
    if min(found) < 1 or prod(found) >= 1 << 62:
        raise InputError(f"`as_` {quoted(whole, 120)}: a shape is written 4096x14336")
    return found


def recipe_of(told: Told, codes: Stored, name: str, look: Look) -> Recipe:
    """The weight that the user said it is.

    Args:
        told: what was said.
        codes: the tensor that it was said of.
        name: what its numbers are called.
        look: a tensor by its name.

    Raises:
        InputError: it cannot be that.
    """
    target = told.target
    element: Element = target.element if isinstance(target, ScaledFormat) else target
    if element.bits > 8 and codes.type.bits != element.bits:
        raise told.wrong(f"{quoted(codes.name)} is {codes.called}")
    packing = told.packing
    if packing is None:
        packing = Packing.LOW_FIRST if element.bits < 8 else Packing.BYTES
        if element.name in _TABLES:
            packing = Packing.HIGH_FIRST
    shape = told.shape or _logical(told, codes, element, packing)
    _check_count(told, codes, element, packing, shape)
    if not isinstance(target, ScaledFormat):
        if told.scale or told.global_ or told.divides or told.swizzled:
            raise told.wrong(f"{target.name} has no scales: say what shares one ({target.name}"
                             ":block=32)")  # fmt: skip
        if packing is Packing.SPLIT_HALVES:
            raise told.wrong(f"halves are of blocks: say of how many ({target.name}:block=32)")
        return Recipe(name, shape, codes, element, packing)
    flat = element.name in _TABLES
    folded = (prod(shape),) if flat or not shape else shape
    block = _block(told, target.reach, folded)
    global_ = _global(told, target, look)
    divides = told.divides and global_ is None
    scale = _tensor(told, told.scale or _usual(told, codes, look), look)
    spec = _spec(told, scale, target.scale)
    made = Scales(scale.entry, spec, block, divides=divides, swizzled=told.swizzled)
    grid = made.grid(folded)
    wanted = swizzled_count(prod(grid[:-1]), grid[-1]) if told.swizzled else prod(grid)
    if prod(scale.shape) != wanted:
        raise told.wrong(
            f"{quoted(scale.name)} has {prod(scale.shape):,} scales and {list(shape)} needs "
            f"{wanted:,} ({target.reach.says})"
        )
    scales = [made]
    if global_ is not None:
        if prod(global_.shape) != 1 or not isinstance(global_.type, FormatSpec):
            raise told.wrong(f"{quoted(global_.name)} is not one number: shape "
                             f"{list(global_.shape)}")  # fmt: skip
        whole = tuple(folded)
        scales.append(
            Scales(global_.entry, global_.type, whole, divides=told.divides, role="global scale")
        )
    halves = _halves(told, element, block, folded) if packing is Packing.SPLIT_HALVES else 0
    return Recipe(name, shape, codes, element, packing, tuple(scales), flat=flat, halves=halves)


def _halves(told: Told, element: Element, block: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """The elements of a block whose halves share bytes."""
    if element.bits != 4:
        raise told.wrong(f"halves are of codes of 4 bits, and {element.name} has {element.bits}")
    if block[-1] % 2 or shape[-1] % block[-1]:
        raise told.wrong(f"rows of {shape[-1]} are no whole blocks of two halves")
    return block[-1]


def _logical(told: Told, codes: Stored, element: Element, packing: Packing) -> tuple[int, ...]:
    stored = codes.shape
    if packing is Packing.BYTES or not stored or codes.type == element:
        return stored
    bits = stored[-1] * codes.type.bits
    if bits % element.bits:
        raise told.wrong(f"rows of {bits // 8} bytes hold no whole number of {element.name}")
    return (*stored[:-1], bits // element.bits)


def _check_count(
    told: Told, codes: Stored, element: Element, packing: Packing, shape: tuple[int, ...]
) -> None:
    width = 8 * -(-element.bits // 8) if packing is Packing.BYTES else element.bits
    size = codes.type.bits * prod(codes.shape)
    if 8 * -(-prod(shape) * width // 8) != size:
        raise told.wrong(
            f"{quoted(codes.name)} has {size // 8:,} bytes, and {list(shape)} of {element.name} "
            f"takes {-(-prod(shape) * width // 8):,}"
        )


def _block(told: Told, reach: Reach, shape: tuple[int, ...]) -> tuple[int, ...]:
    if reach.scope is Scope.TENSOR:
        return shape
    last = len(shape) - 1
    if reach.scope is Scope.CHANNEL:
        axis = reach.axis if reach.axis >= 0 else reach.axis + len(shape)
        if not 0 <= axis <= last:
            raise told.wrong(f"shape {list(shape)} has no axis {reach.axis}")
        return tuple(1 if each == axis else length for each, length in enumerate(shape))
    if reach.rows > 1 and last < 1:
        raise told.wrong(f"shape {list(shape)} has no rows: {reach}")
    return (*(1 for _ in shape[:-2]), *((reach.rows,) if last else ()), reach.columns)


def _usual(told: Told, codes: Stored, look: Look) -> str:
    """The only tensor that is called as scales of these codes are."""
    found = []
    for ending, others in ENDINGS.items():
        for other in others:
            name = codes.name.removesuffix(other) + ending
            if codes.name.endswith(other) and look(name) is not None:
                found.append(name)
    found += [f"{codes.name}.absmax"] if look(f"{codes.name}.absmax") is not None else []
    found = list(dict.fromkeys(found))
    if len(found) != 1:
        raise told.wrong("say which tensor has its scales, as in scale=W_scale")
    return found[0]


def _global(told: Told, target: ScaledFormat, look: Look) -> Stored | None:
    if told.global_:
        return _tensor(told, told.global_, look)
    if target.global_scale is None:
        return None
    base = told.weight.removesuffix("_packed").removesuffix("_qdata")
    found = [each for ending in _GLOBALS if (each := look(base + ending)) is not None]
    if len(found) != 1:
        raise told.wrong(
            "say which tensor has its global scale, as in global=W_scale_2, or that there is none "
            f"({target.name}:global=none)"
        )
    return found[0]


def _tensor(told: Told, name: str, look: Look) -> Stored:
    found = look(name)
    if found is None:
        raise told.wrong(f"no tensor {quoted(name)} there")
    return found


def _spec(told: Told, scale: Stored, wanted: FormatSpec) -> FormatSpec:
    """The format of scales: bytes are codes of what was said, other numbers are what they are."""
    if isinstance(scale.type, FormatSpec) and scale.type.bits > 8:
        return scale.type
    if scale.type == wanted or (scale.type.name in ("uint8", "int8") and wanted.bits == 8):
        return wanted
    raise told.wrong(f"{quoted(scale.name)} is {scale.called}, and no {wanted.name}")
