"""What decides how a machine adds: libraries, what they are told by variables, and settings."""

from __future__ import annotations

import os

import torch

from fpx.arithmetic.reveal.settings import current
from fpx.casts.device import Device
from fpx.casts.environment import environment
from fpx.report.reveal import RevealEnvironment

VARIABLES = (
    "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "ATEN_CPU_CAPABILITY",
    "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_NUM_THREADS", "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)  # fmt: skip
"""Environment variables that change how libraries add."""


def reveal_environment(device: Device, seed: int) -> RevealEnvironment:
    """What is known of it here and now."""
    return RevealEnvironment(
        environment([device], seed),
        mkl=torch._C.has_mkl,
        mkldnn=torch._C._has_mkldnn,
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
        flags=current(),
    )
