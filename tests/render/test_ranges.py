"""Number lines."""

from __future__ import annotations

from tests.helpers import call


def test_number_lines_tell_normals_from_subnormals() -> None:
    _, out, _ = call("range", "--dtype", "fp16", "--dtype", "e4m3fn")
    lines = [line for line in out.splitlines() if "█" in line]
    assert lines[0].startswith(" float16")
    assert lines[0].index("░") < lines[1].index("░")
    assert lines[0].rindex("█") > lines[1].rindex("█")
