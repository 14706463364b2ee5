"""Processes that train together by gloo: each counts its own, and averaged gradients after that."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.forks import with_torch

_HEAD = """
import json, os, sys
import torch
from torch import nn
import torch.distributed as dist
import fpx

rank = int(os.environ["RANK"])
dist.init_process_group("gloo")
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 2))
x = torch.full((5, 4), 10.0 ** (3 - 4 * rank))

def told(seen, found):
    report = seen.stop()
    rows = {f"{r.name} {r.kind}": [r.calls, r.count, r.amax] for r in report.values
            if r.to == "float16"}
    moved = {r.name: [r.count, r.moved_count] for r in report.updates if r.to == "float32"}
    found |= {"rows": rows, "moved": moved, "notes": report.models[0].notes,
              "model": report.models[0].model}
    with open(sys.argv[1] + str(rank), "w") as out:
        json.dump(found, out)
"""

_DDP = """
from torch.nn.parallel import DistributedDataParallel
wrapped = DistributedDataParallel(model)
optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.1)
seen = fpx.watch(wrapped)
wrapped(x).sum().backward()
largest = {name: float(p.grad.abs().max()) for name, p in model.named_parameters()}
optimizer.step()
told(seen, {"largest": largest})
dist.destroy_process_group()
"""

_FSDP = """
from torch.distributed.fsdp import fully_shard
from torch.distributed.device_mesh import init_device_mesh
mesh = init_device_mesh("cpu", (2,))
for layer in (model[0], model[2]):
    fully_shard(layer, mesh=mesh)
fully_shard(model, mesh=mesh)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
seen = fpx.watch(model)
model(x).sum().backward()
parts = {name: p.grad.to_local() for name, p in model.named_parameters()}
largest = {name: float(part.abs().max()) if part.numel() else 0.0 for name, part in parts.items()}
sizes = {name: part.numel() for name, part in parts.items()}
before = {name: p.to_local().detach().clone() for name, p in model.named_parameters()}
optimizer.step()
moved = {name: int((p.to_local() != before[name]).sum()) for name, p in model.named_parameters()}
told(seen, {"largest": largest, "sizes": sizes, "changed": moved})
dist.destroy_process_group()
"""

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this torch was built without gloo",
)


def together(script: str, folder: Path) -> list[dict[str, Any]]:
    """What two processes found that ran a script."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [*with_torch(), "-c", _HEAD + script, str(folder / "found")],
            env={**os.environ, **common, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        errors = [process.communicate(timeout=120)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], errors
    return [json.loads((folder / f"found{rank}").read_text()) for rank in range(2)]


def test_gradients_of_weights_are_those_that_all_share(tmp_path: Path) -> None:
    found = together(_DDP, tmp_path)
    for rank, each in enumerate(found):
        assert each["model"] == "Sequential"
        assert each["notes"] == [f"rank {rank} of 2: the activations and gradients of this process"]
        for name, largest in each["largest"].items():
            assert each["rows"][f"{name} weight_grad"][2] == largest
            assert each["moved"][name][1] > 0
    one, other = (each["rows"] for each in found)
    assert one["0.weight weight_grad"] == other["0.weight weight_grad"]
    assert one["0 activation"][:2] == other["0 activation"][:2] == [1, 30]
    assert one["0 activation"][2] > 100 * other["0 activation"][2]


def test_of_sharded_parameters_each_counts_its_part(tmp_path: Path) -> None:
    found = together(_FSDP, tmp_path)
    for rank, each in enumerate(found):
        assert each["notes"] == [
            f"rank {rank} of 2: the activations and gradients of this process, and of sharded "
            "tensors its part"
        ]
        for name, size in each["sizes"].items():
            assert each["rows"][f"{name} weight_grad"] == [1, size, each["largest"][name] or None]
            assert each["rows"][f"{name} exp_avg"][:2] == [1, size]
            assert each["moved"][name] == [size, each["changed"][name]]
        assert set(each["rows"]) >= {"0 activation", "2 activation", "2 grad_output"}
        assert sum(each["sizes"].values()) == 22
        assert sum(each["changed"].values()) > 0
