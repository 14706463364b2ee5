"""The environment of this process."""

from __future__ import annotations

import json
import platform
from dataclasses import fields

import ml_dtypes
import numpy as np
import torch

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.report.environment import Environment
from tests.helpers import call


def test_what_is_here() -> None:
    cpu = find_device("cpu")
    found = environment([cpu, cpu], seed=7)
    assert found.python == platform.python_version()
    assert (found.torch, found.numpy) == (str(torch.__version__), np.__version__)
    assert found.ml_dtypes == ml_dtypes.__version__
    assert found.device == cpu.label
    assert (found.cuda, found.hip) == (torch.version.cuda, torch.version.hip)
    assert found.cpu_capability == torch.backends.cpu.get_cpu_capability()
    assert found.seed == 7
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert environment([cpu]).threads == threads + 1
    finally:
        torch.set_num_threads(threads)


def test_only_what_is_random_has_a_seed() -> None:
    cpu = find_device("cpu")
    names = {field.name for field in fields(Environment)}
    assert set(environment([cpu], seed=0).to_dict()) == names
    assert set(environment([cpu]).to_dict()) == names - {"seed"}


def test_reports_tell_it() -> None:
    _, out, _ = call(
        "cast-verify", "--from", "fp16", "--to", "bf16", "--seed", "3", "--layout", "strided",
        "--json",
    )  # fmt: skip
    told = json.loads(out)["environment"]
    cpu = find_device("cpu")
    assert told == environment([cpu], seed=3).to_dict() | {
        "layout": "strided", "compile": False, "flush_denormal": False, "against": "exact"
    }  # fmt: skip
