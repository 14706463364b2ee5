"""Runs what needs a card and writes down what it showed; started by scripts/check-cuda."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# title, arguments of fpx; DEVICE stands for the device
RUNS = (
    ("Devices", ["devices"]),
    ("What casts lose", ["cast-compare", "--device", "DEVICE"]),
    ("Conformance of the CPU", ["cast-verify", "--device", "cpu"]),
    ("Conformance of the device", ["cast-verify", "--device", "DEVICE"]),
    ("Device against CPU", ["cast-verify", "--device", "DEVICE", "--against", "cpu"]),
    ("NaN bits, all of float32", ["cast-verify", "--device", "DEVICE", "--from", "float32",
                                  "--to", "bfloat16", "--to", "float16"]),
)  # fmt: skip


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """A Python of this environment; stdout and stderr as text."""
    env = os.environ | {"COLUMNS": "100", "PYTHONUTF8": "1", "NO_COLOR": "1"}
    return subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, encoding="utf-8"
    )


def main(device: str = "cuda", folder: str = "docs/results") -> int:
    """0 if everything ran and the tests passed; else the exit code of what did not."""
    found = run("-m", "fpx", "devices", "--device", device, "--json")
    if found.returncode:
        sys.stderr.write(found.stderr)
        return found.returncode
    label = json.loads(found.stdout)["results"][0]["label"]
    day = datetime.now(UTC).date().isoformat()
    tests = run("-m", "pytest", "-m", "cuda", "-q", "-p", "no:cacheprovider")
    summary = (tests.stdout.strip().splitlines() or ["no output"])[-1]
    document: dict[str, object] = {
        "schema": "fpx.check-cuda/1", "date": day, "device": label,
        "tests": {"exit_code": tests.returncode, "summary": summary}, "runs": {},
    }  # fmt: skip
    lines = [f"# {label}, {day}", "", "Written by `scripts/check-cuda`.", "", "## Tests", ""]
    lines += ["```", tests.stdout.strip(), "```", ""]
    runs: dict[str, object] = {}
    worst = tests.returncode if tests.returncode != 5 else 0  # 5: no test has the marker
    for title, arguments in RUNS:
        command = [device if word == "DEVICE" else word for word in arguments]
        shown, plain = run("-m", "fpx", *command), run("-m", "fpx", *command, "--json")
        lines += [f"## {title}", "", "```", f"$ fpx {' '.join(command)}"]
        lines += [*(line.rstrip() for line in (shown.stdout + shown.stderr).splitlines())]
        lines += [f"exit {shown.returncode}", "```", ""]
        if plain.returncode in (0, 1):  # 1: differences, which is what this is for
            runs[title] = json.loads(plain.stdout)
        else:
            sys.stderr.write(plain.stderr)
            worst = worst or plain.returncode
    document["runs"] = runs
    out = ROOT / folder
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{day}-{device.replace(':', '')}"
    (out / f"{stem}.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    (out / f"{stem}.md").write_text("\n".join(lines), encoding="utf-8")
    sys.stderr.write(f"fpx: wrote {folder}/{stem}.json and {folder}/{stem}.md\n")
    return worst


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
