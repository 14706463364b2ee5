"""Rewrites the examples of all pages and the goldens; started by scripts/regenerate."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.examples import PAGES, ROOT, rewritten


def main() -> None:
    """Says on stderr which pages are others now."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        with TemporaryDirectory() as folder:
            new = rewritten(text, Path(folder))
        if new != text:
            page.write_text(new, encoding="utf-8")
            sys.stderr.write(f"fpx: wrote {page.relative_to(ROOT)}\n")
    if find_spec("tests.test_goldens"):
        import_module("tests.test_goldens").regenerate()


if __name__ == "__main__":
    main()
