"""Options: each is heard by its command."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers import call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files for the commands: tensors, and bytes."""
    folder = tmp_path_factory.mktemp("options")
    tensors = {name: torch.tensor([1.0, 7e4 * n, 1e-9]) for n, name in enumerate("abcd")}
    save_file(tensors, folder / "x.safetensors")
    (folder / "bytes").write_bytes(bytes(range(64)))
    return folder


OPTIONS = {
    "decode 16 1e9 --dtype fp16 --json": [
        "--rounding toward_zero", "--rounding all", "--overflow saturate", "--dtype bf16",
        "--libraries",
    ],
    "decode 16 1e9 --dtype fp16": ["--rounding toward_zero", "--overflow saturate", "--json"],
    "decode 16 --dtype fp16 --json": ["--as code"],
    "decode 16 --dtype fp16": ["--as code"],
    "encode 16 1e9 --dtype fp16 --json": ["--rounding toward_zero", "--overflow saturate"],
    "encode 16 1e9 --dtype fp16": [
        "--rounding toward_zero", "--overflow saturate", "--output bin", "--json",
    ],
    "encode 16 --dtype fp16 --json": ["--as code"],
    "encode 16 --dtype fp16": ["--as code"],
    "distance 16 18 --dtype fp16": ["--as code", "--json", "--dtype bf16"],
    "range --dtype fp16": ["--dtype bf16", "--json"],
    "formats": ["e5m7", "--json"],
    "table e2m1fn": ["--list", "--csv", "--json", "--around 1"],
    "table bf16 --around 1": ["--count 3"],
    "bits bytes --dtype fp16": ["--offset 2", "--count 3", "--big-endian", "--json"],
    "bits bytes --dtype fp4": ["--packing high-first", "--packing bytes"],
    "inspect x.safetensors": ["--stats", "--include a", "--exclude a", "--json", "--tensor a"],
    "inspect x.safetensors --tensor b": ["--index 1", "--top 2", "--json"],
    "cast-compare x.safetensors --to fp16": [
        "--to bf16", "--include a", "--exclude a", "--top 2", "--json",
        "--fail-if overflow_count>0",
    ],
    "cast-compare normal --to fp16 --size 300 --json": [
        "--seed 1", "--from float64", "--size 200", "boundaries",
    ],
    "cast-verify --from fp16 --to bf16 --json": [
        "--backend ml_dtypes", "--against ml_dtypes", "--from e5m2", "--to fp32",
    ],
    "cast-verify --from fp64 --to fp16 --size 200 --json": [
        "--seed 1", "--size 100", "--layout scalar", "--flush-denormal", "--examples 1",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "option"),
    [(command, option) for command, options in OPTIONS.items() for option in options],
)
def test_an_option_changes_what_its_command_says(
    command: str, option: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No option is taken and dropped; and the same command says the same again."""
    monkeypatch.chdir(folder)
    plain, other = call(*command.split()), call(*command.split(), *option.split())
    assert plain[0] in (0, 1)
    assert other[0] in (0, 1), other[2]
    assert other != plain
    assert call(*command.split(), *option.split()) == other
