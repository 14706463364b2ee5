"""A real browser without a window, for tests of pages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "chromedriver": ("chromedriver",),
}
WIDTH, HEIGHT = 1280, 1000


def started(folder: Path) -> Chrome:
    """Chromium with a profile in a folder; skips the test where there is none."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    paths = {what: next(filter(None, map(shutil.which, of)), None) for what, of in NAMES.items()}
    for what, path in paths.items():
        if path is None:
            pytest.skip(f"there is no {what} here (apt-get install chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    os.environ["SE_OFFLINE"] = "true"  # it must not look for a driver of its own
    options = webdriver.ChromeOptions()
    options.binary_location = str(paths["chromium"])
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     f"--window-size={WIDTH},{HEIGHT}", f"--user-data-dir={folder}"):  # fmt: skip
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # which root has none of
    driver = webdriver.Chrome(options=options, service=Service(str(paths["chromedriver"])))
    driver.set_page_load_timeout(60)
    return driver


def logged(chrome: Chrome, what: str) -> list[dict[str, Any]]:
    """What has been logged since this was last asked for."""
    found: list[dict[str, Any]] = chrome.get_log(what)  # type: ignore[no-untyped-call]
    return found
