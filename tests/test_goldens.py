"""What commands print, held to by files of record: `--json` of every schema, and screens.

`regenerate()` writes them anew; read the differences before you commit them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import chdir
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from tests.explore.screens import SCREENS as EXPLORED
from tests.explore.screens import golden
from tests.helpers import REPORTING, call
from tests.writers import nvfp4

GOLDENS = Path(__file__).parent / "goldens"

JSON = {
    "decode": "decode 3.14 -0 1/3 65520 nan 1e-8 --dtype fp16",
    "decode-block": "decode --dtype mxfp4,nvfp4 6 -4 0.1 7.9 nan",
    "decode-codes": "decode --dtype nvfp4 --codes e7 --scale-code 0x7e --global-scale 0.5",
    "decode-stochastic": "decode 3.14159 450 nan --dtype e4m3fn --rounding stochastic:8",
    "decode-libraries": "decode 2049.0000000000001 --dtype fp16 --libraries",
    "encode": "encode 3.14 1e9 --dtype fp16",
    "range": "range --dtype fp16 --dtype e8m0 --dtype e4m3fn",
    "range-compare": "range --compare fp16 e4m3fn",
    "range-scaled": "range nvfp4 nf4",
    "formats-scaled": "formats nvfp4",
    "table-scaled": "table nf4 --scale-code 0x40000000",
    "formats": "formats e4m3fn e5m7",
    "table": "table binary3p2se",
    "distance": "distance 1 2 --dtype bf16",
    "calc": "calc 0.05-1e-5+sqrt(2) --dtype bf16 --trace --fail-if inexact",
    "calc-libraries": "calc sum(1,2^-8,2^-8) --dtype bf16 --libraries",
    "calc-all": "calc x*0.9 --dtype fp4 --all x",
    "calc-stochastic": "calc (1/3)+2/7 --dtype e4m3fn --rounding stochastic:4:b",
    "calc-all-stochastic": "calc x*y --dtype fp4 --all x,y --rounding stochastic:1",
    "bits": "bits bytes --dtype bf16 --count 3",
    "inspect": "inspect views.pt model.safetensors --stats --axis -1",
    "inspect-top": "inspect x.npy --tensor x --top 2",
    "inspect-layout": "inspect views.pt --tensor t --layout",
    "inspect-tensor": "inspect model.safetensors --tensor a.weight --stats --axis 1",
    "inspect-element": "inspect x.npy --tensor x --index 1",
    "inspect-quantised": "inspect nvfp4 --stats",
    "inspect-quantised-element": "inspect nvfp4 --tensor layer.1.up.weight --index 1,18",
    "cast-compare": "cast-compare x.npy model.safetensors --to fp16",
    "cast-verify": "cast-verify --from uint8 --to e8m0 --to fp16 --backend ml_dtypes",
    "cast-verify-stochastic": "cast-verify --with golden_rounding:sr --rounding stochastic "
    "--random-bits 8 --examples 1",
    "diff": "diff model.safetensors changed.npz --tolerance-ulp 1",
    "step-compare": "step-compare adamw.pt --weights-to bf16 --state-to fp16,e4m3fn:tensor",
    "step-compare-lr": "step-compare adamw.pt --lr 1e-4 --to bf16,fp4 --fail-if unmoved_rate>0.9",
    "step-compare-change": "step-compare adamw.pt later.pt --to bf16",
    "op-verify": "op-verify softsign maximum --dtype bf16 --dtype e4m3fn --size 9",
    "op-verify-list": "op-verify",
    "devices": "devices --device cpu --size 1000",
    "reveal": "reveal index_add --n 4 --dtype bf16 --rows 50 --fail-if kept_bits<23",
    "watch": "watch --to fp16,e4m3fn train.py",
}
"""Name -> the command whose JSON it is."""

SCREENS = {
    "decode": "decode 3.14",
    "decode-one": "decode 1e-40 --dtype bf16",
    "decode-large": "decode 1e30",
    "decode-float128": "decode 0.1 --dtype float128",
    "decode-all": "decode 1e-40 --dtype all",
    "decode-rows": "decode 1 -3.14 1e30 --dtype fp32",
    "decode-rows-formats": "decode 1 -3.14 --overflow saturate",
    "decode-block": "decode --dtype mxfp4 6 -4 3 0.1 7.9 -0",
    "decode-blocks": "decode --dtype nvfp4 " + " ".join(f"{n}e-3" for n in range(1, 21)),
    "decode-rules": "decode --dtype mxfp4 --scale-rule all 7.9 -4 3 0.1 1/3",
    "decode-codes": "decode --dtype mxfp4 --codes e7 --scale-code 0xfe",
    "decode-block-nan": "decode --dtype mxfp6_e2m3 7.5 nan -inf",
    "decode-stochastic": "decode 3.14159 --dtype e4m3fn --rounding stochastic:8",
    "decode-stochastic-rows": "decode 3.14159 450 1/3 --rounding stochastic",
    "decode-libraries": "decode 257.00001 --dtype bf16 --libraries",
    "encode": "encode 1 -inf --dtype fp16 --output bin",
    "range": "range",
    "range-compare": "range --compare fp16 e4m3fn",
    "range-scaled": "range mxfp4 nvfp4 bf16",
    "formats-scaled": "formats mxfp4 nvfp4 bf16",
    "table-scaled": "table nvfp4 --scale-code 0x7e",
    "bits-split": "bits bytes --dtype fp4 --packing split-halves --block 4",
    "formats": "formats bf16 e4m3fn e5m7",
    "table": "table e2m1fn",
    "table-list": "table e2m1fn --list",
    "distance": "distance 1e-40 0.3 --dtype fp32 --dtype fp64",
    "calc": "calc 0.1+0.2",
    "calc-one": "calc 0.05-1e-5 --dtype bf16",
    "calc-trace": "calc fma(0.1,10,-1)/3 --dtype fp32 --trace --rounding toward_zero",
    "calc-libraries": "calc sum(1,2^-8,2^-8) --dtype bf16 --libraries",
    "calc-all": "calc x*y --dtype fp4 --all x,y",
    "calc-stochastic": "calc 0.05-1e-5 --dtype bf16 --rounding stochastic",
    "calc-all-stochastic": "calc x*y --dtype fp4 --all x,y --rounding stochastic:1",
    "calc-hard": "calc sqrt(2)+sqrt(3)+sqrt(5)+sqrt(7)+sqrt(11)+sqrt(13) --dtype bf16",
    "bits": "bits bytes --dtype bf16",
    "inspect": "inspect views.pt model.safetensors",
    "inspect-stats": "inspect x.npy --stats",
    "inspect-axis": "inspect model.safetensors --stats --axis 1",
    "inspect-tensor": "inspect large.npy --tensor large --stats",
    "inspect-groups": "inspect layers.safetensors",
    "inspect-top": "inspect x.npy --tensor x --top 2",
    "inspect-layout": "inspect views.pt --tensor t --layout",
    "inspect-quantised": "inspect nvfp4",
    "inspect-quantised-stats": "inspect nvfp4 --stats",
    "inspect-quantised-tensor": "inspect nvfp4 --tensor layer.1.up.weight --stats",
    "inspect-quantised-element": "inspect nvfp4 --tensor layer.1.up.weight --index 1,18",
    "cast-compare": "cast-compare x.npy model.safetensors",
    "cast-compare-exact": "cast-compare x.npy --to fp4 --to e5m7",
    "cast-verify": "cast-verify --from float16 --size 100 --seed 1",
    "cast-verify-one": "cast-verify --from uint8 --to e8m0 --backend ml_dtypes",
    "cast-compare-stochastic": "cast-compare large.npy --to e4m3fn --rounding stochastic:4",
    "cast-verify-stochastic": "cast-verify --with golden_rounding:sr --rounding stochastic "
    "--random-bits 8 --examples 1",
    "op-verify": "op-verify erf relu hardswish softsign maximum --dtype bf16 --size 100",
    "op-verify-few": "op-verify reciprocal erf --dtype bf16",
    "op-verify-list": "op-verify",
    "diff": "diff model.safetensors changed.npz",
    "diff-equal": "diff x.npy x.npy",
    "step-compare": "step-compare adamw.pt --weights-to bf16,fp16 --state-to bf16,e4m3fn",
    "step-compare-lr": "step-compare adamw.pt --lr 1e-4 --rounding stochastic:4:a",
    "step-compare-change": "step-compare adamw.pt later.pt",
    "watch": "watch --to fp16,e4m3fn train.py",
    "watch-nothing": "watch idle.py",
}
"""Name -> the command whose screen it is, at each of WIDTHS and in a pipe."""

TRAIN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        self.head = nn.Linear(2, 1)
    def forward(self, x):
        return self.head(self.body(x))

net = Net()
with torch.no_grad():  # powers of two alone, so that all machines compute the same
    for at, parameter in enumerate(net.parameters()):
        parameter.copy_(torch.arange(1.0, 1 + parameter.numel()).view_as(parameter).exp2() / 2**at)
optimizer = torch.optim.SGD(net.parameters(), lr=2.0**-14, momentum=0.5)
for step in range(3):
    optimizer.zero_grad()
    (net(torch.tensor([[1.0, 65536.0], [2.0**-20, 0.0]])) * 2.0**-13).sum().backward()
    optimizer.step()
"""
"""A script that trains; numbers in it overflow in float16, and become zero."""

WIDTHS = (60, 80, 120)
PIPED = "piped"


ROUNDING = """
import torch


def sr(x, words):
    bits = x.view(torch.int32) + (words << 8)
    return (bits >> 16).to(torch.int16).view(torch.bfloat16)
"""
"""A rounding function, of scheme a with 8 bits, that loses NaNs."""


def write_files(folder: Path) -> None:
    """The files that the commands read."""
    x = np.array([1.0, 65519.999999999, 7e4, 1e-9, np.inf, np.nan, 0.1])
    np.save(folder / "x.npy", x)
    small = torch.tensor([[1.0, 3e-6], [-2.0, 1e5]])
    save_file({"a.weight": small, "b.bias": torch.ones(3).bfloat16()}, folder / "model.safetensors")
    np.save(folder / "large.npy", np.arange(600.0).reshape(20, 30) / 7)
    layers = {f"layer.{n}.{name}.weight": torch.ones(4, 4) for n in range(3) for name in "qkv"}
    save_file({**layers, "layer.2.extra": small}, folder / "layers.safetensors", {"format": "pt"})
    arrays: dict[str, Any] = {
        "a.weight": np.array([[1.0, 3e-6], [-2.000001, 65519.0]], np.float16),
        "b.gain": np.ones(3, np.float32),
    }
    np.savez(folder / "changed.npz", **arrays)
    points = torch.arange(6.0).view(2, 3)
    torch.save({"points": points, "t": points.t()}, folder / "views.pt")
    _write_trainings(folder)
    nvfp4(folder / "nvfp4")
    (folder / "golden_rounding.py").write_text(ROUNDING)
    (folder / "train.py").write_text(TRAIN)
    (folder / "idle.py").write_text("")
    (folder / "bytes").write_bytes(bytes.fromhex("4940803fc07f"))


def _write_trainings(folder: Path) -> None:
    """A checkpoint with AdamW's state, and the same weights later."""
    names = ["net.0.weight", "net.0.bias", "norm.weight"]
    count = torch.arange(1.0, 33.0)
    weights = [count.view(4, 8) / 64, -count[:4] / 1000, torch.ones(8)]
    state = {
        at: {
            "step": torch.tensor(200.0),
            "exp_avg": weight.sign() * 2.0 ** -(12.0 + at),
            "exp_avg_sq": (weight * 2.0**-9).square() + 2.0**-60,
        }
        for at, weight in enumerate(weights)
    }
    group = {
        "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, "amsgrad": False,
        "decoupled_weight_decay": True, "params": [0, 1, 2], "param_names": names,
    }  # fmt: skip
    optimizer = {"state": state, "param_groups": [group]}
    model = dict(zip(names, weights, strict=True))
    torch.save({"model": model, "optimizer": optimizer}, folder / "adamw.pt")
    later = {name: weight - 2.0**-11 for name, weight in model.items()}
    torch.save({"model": later}, folder / "later.pt")


MACHINES_OWN = frozenset(
    ("label", "capability", "memory_bytes", "storage", "cast", "product", "subnormals",
     "subnormals_cast", "subnormals_product_small", "subnormals_product_large", "cache_bytes",
     *(f"{what}_{kind}" for what in ("cast", "copy")
       for kind in ("gb_per_s", "gb_per_s_min", "gb_per_s_max", "in_cache")))
)  # fmt: skip
"""What `fpx devices` finds, which is another thing on every machine."""


def normalised(value: Any, key: str = "", *, devices: bool = False) -> Any:
    """JSON without what machines and versions of libraries differ in; the keys stay."""
    if key == "environment":
        return dict.fromkeys(value, "…")
    if key in ("version", "threads", "seconds") or (devices and key in MACHINES_OWN):
        return "…"
    if isinstance(value, dict):
        return {k: normalised(v, k, devices=devices) for k, v in value.items()}
    if isinstance(value, list):
        return [normalised(item, devices=devices) for item in value]
    if isinstance(value, float):
        return float(f"{value:.10g}")  # the last digits of a logarithm are a library's own
    return value


def json_of(name: str) -> str:
    """The document of a command, normalised."""
    command, *args = JSON[name].split()
    code, out, err = call(command, "--json", *args)
    assert code in (0, 1, 3), err  # 3: a cast that was named is not offered, as the golden says
    document = json.loads(out, parse_constant=lambda token: pytest.fail(f"{token} is not JSON"))
    assert document.pop("fpx") == fpx.__version__
    text = json.dumps(normalised(document, devices=name == "devices"), indent=1, ensure_ascii=False)
    return text + "\n"


_VERSION = re.compile(r"\b((?:torch|numpy|ml_dtypes) )([0-9]+\.[0-9.]+)")


def screen_of(name: str, width: int | None) -> str:
    """What a command prints on a screen of that many columns, without versions and machines.

    None is a pipe, whose lines have no end.
    """
    code, out, err = call(*SCREENS[name].split(), columns=width)
    assert code in (0, 1), err
    lines = [line.rstrip() for line in out.splitlines()]
    if width is None:
        assert out.splitlines() == lines
        assert "No room" not in out
    else:
        assert max(map(len, lines)) <= width
    # the heading is as long as a version and wraps where it will
    text = re.sub(r"cast by .*? on [^()]*\([^()]*\)", "cast by …", "\n".join(lines), flags=re.S)
    return _VERSION.sub(lambda found: found[1] + re.sub("[0-9]", "0", found[2]), text) + "\n"


MADE: Mapping[str, Callable[[], str]] = {
    **{f"{name}.json": partial(json_of, name) for name in JSON},
    **{
        f"{name}-{width or PIPED}.txt": partial(screen_of, name, width)
        for name in SCREENS
        for width in (*WIDTHS, None)
    },
    **{f"explore-{name}.txt": partial(golden, name) for name in EXPLORED},
}
"""Every golden's path in GOLDENS, and what tells what it should hold, where the files are."""


def regenerate() -> None:
    """Writes all goldens as they are made now, and removes those that nothing makes."""
    with TemporaryDirectory() as folder:
        write_files(Path(folder))
        with chdir(folder):
            found = {name: make() for name, make in MADE.items()}
    GOLDENS.mkdir(exist_ok=True)
    for path in GOLDENS.iterdir():
        path.unlink()
    for name, text in found.items():
        (GOLDENS / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("goldens")
    write_files(found)
    return found


@pytest.mark.usefixtures("quick_rates")
@pytest.mark.parametrize("name", MADE)
def test_what_is_printed_is_golden(name: str, folder: Path) -> None:
    with chdir(folder):
        assert MADE[name]() == (GOLDENS / name).read_text(encoding="utf-8")


def test_every_command_and_every_golden_is_held_to() -> None:
    assert {command.split()[0] for command in JSON.values()} == set(REPORTING)
    assert {path.name for path in GOLDENS.iterdir()} == set(MADE)


DECODE_KEYS = (
    "input format code sign biased_exponent exponent fraction significand classification value "
    "shortest hex_float rounding_error error_ulp ulp lower upper"
)


RANGE_KEYS = (
    "format bits exponent_bits fraction_bits bias emin emax max_finite smallest_normal "
    "smallest_subnormal machine_epsilon unit_roundoff digits10 max_digits10 max_consecutive_integer"
)


CAST_KEYS = (
    "source tensor from to backend device count overflow_count overflow_to_inf_count "
    "overflow_to_nan_count saturated_count underflow_count subnormal_count nan_input_count "
    "inf_input_count exact_count max_abs_error max_rel_error max_error_ulp rms_error sqnr_db"
)


@pytest.mark.parametrize(
    ("schema", "keys", "args"),
    [
        ("decode/1", DECODE_KEYS, ["decode", "3.14"]),
        ("range/1", RANGE_KEYS, ["range"]),
        ("cast-compare/2", CAST_KEYS, ["cast-compare", "normal", "--size", "100"]),
    ],
)
def test_json_keeps_its_promised_keys(schema: str, keys: str, args: list[str]) -> None:
    document = json.loads(call(*args, "--json")[1])
    assert document["schema"] == f"fpx.{schema}"
    assert {"schema", "fpx", "environment", "results"} <= set(document)
    for entry in document["results"]:
        assert set(keys.split()) <= set(entry)
