"""What produced measured numbers: versions, devices, threads and the seed."""

from __future__ import annotations

from dataclasses import dataclass, fields

from fpx.report.base import JsonValue


@dataclass(frozen=True)
class Environment:
    """What measured numbers depend on beside the code and its options.

    Attributes:
        python, torch, numpy, ml_dtypes: versions.
        device: labels of the devices that were used, such as `cpu (x86_64)`.
        cuda, hip: what torch was built with, or None.
        driver: the newest CUDA that the driver of the cards here knows, or None.
        cpu_capability: the widest vector instructions that torch uses, such as `AVX2`.
        threads: that torch uses.
        seed: of random numbers; None where nothing is random.
    """

    python: str
    torch: str
    numpy: str
    ml_dtypes: str
    device: str
    cuda: str | None
    hip: str | None
    driver: str | None
    cpu_capability: str
    threads: int
    seed: int | None = None

    def to_dict(self) -> dict[str, JsonValue]:
        """Entries of a JSON document's `environment`; no `seed` where nothing is random."""
        entries = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.seed is None:
            del entries["seed"]
        return entries
