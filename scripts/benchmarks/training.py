"""What watching costs a step of training."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

import fpx
from scripts.benchmarks.results import Found, Sizes
from scripts.benchmarks.turns import turns

WIDTH, BATCH = 1024, 1024
EVERY = 10
"""How often steps are counted by one who watches for longer."""


def watched(sizes: Sizes) -> Found:
    """A step of Adam on three layers of WIDTH, watched for the usual formats, beside one alone.

    The second figure is of ten steps of which one is counted.
    """
    torch.manual_seed(0)
    layers = [nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(WIDTH, WIDTH))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    x = torch.randn(BATCH, WIDTH)

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()

    def watch(count: int, every: int) -> None:
        with fpx.watch(model, optimizer, every=every):
            steps(count)

    works = {
        "alone": partial(steps, 1),
        "watched": partial(watch, 1, 1),
        f"{EVERY} alone": partial(steps, EVERY),
        f"{EVERY} watched, 1 counted": partial(watch, EVERY, EVERY),
    }
    for work in works.values():
        work()
    taken = {name: each.least for name, each in turns(works, sizes.rounds).items()}
    times = list(taken.values())
    return Found((times[1] / times[0], times[3] / times[2]), taken, "s")
