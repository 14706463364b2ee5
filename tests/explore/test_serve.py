"""The program in a browser: where it listens, whom it lets in, and a real Chromium."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import HEIGHT, WIDTH, logged, started
from tests.helpers import PATIENCE, call, running

pytest.importorskip("textual_serve", reason="textual-serve is not installed")

if TYPE_CHECKING:
    import subprocess

    from selenium.webdriver import Chrome

ADDRESS = re.compile(r"http://(\S+):(\d+) \(Ctrl-C ends it\)\n")


@contextmanager
def served(*args: str) -> Iterator[tuple[str, int, subprocess.Popen[str]]]:
    """(host, port, process) of a server, which ends by Ctrl-C."""
    with running("explore", *args, "--web") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = ADDRESS.fullmatch(line)
        assert found, (line, process.stderr.read() if process.stderr and not line else "")
        yield found[1], int(found[2]), process
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert process.stdout.read() == ""


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The port of a server on the loopback address."""
    with served("3.14") as (host, port, process):
        assert host == "127.0.0.1"
        yield port
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == ""


def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    """(status, body) of a request to the loopback address."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = "" if answer.status == 101 else answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, body


def upgrade(port: int, **headers: str) -> int:
    """The status of a request for the program behind the page."""
    hello = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    return get(port, "/ws", **hello, **headers)[0]


def test_it_listens_on_this_machine_alone(server: int) -> None:
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in others - {"127.0.0.1", "127.0.1.1", "::1"}:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((str(address), server), 5)
    assert get(server, "/")[0] == 200


def test_the_page_names_nothing_outside(server: int) -> None:
    page = get(server, "/")[1]
    assert "://" not in page.replace("ws://${location.host}/ws", "")
    for path in re.findall(r'(?:href|src)="(/[^"]+)"|url\("([^"]+)"\)', page):
        assert get(server, "".join(path))[0] == 200, path
    assert "Content-Security-Policy" in page


def test_pages_of_others_may_not_connect(server: int) -> None:
    ours = {"Origin": f"http://127.0.0.1:{server}"}
    named = {"Origin": f"http://localhost:{server}", "Host": f"localhost:{server}"}
    assert upgrade(server, **ours) == upgrade(server, **named) == 101
    assert upgrade(server) == 403
    assert upgrade(server, Origin="http://example.com") == 403
    assert upgrade(server, Origin="http://example.com", Host="example.com") == 403
    assert upgrade(server, Origin="null") == 403


def test_another_address_is_warned_of() -> None:
    with served("1", "--host", "0.0.0.0") as (host, port, process):
        assert host == "0.0.0.0"
        own = {"Origin": "http://example.com:1", "Host": "example.com:1"}
        assert upgrade(port, **own) == 101  # by whatever name this machine has
        assert upgrade(port, Origin="http://example.com:1") == 403
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == (
            "fpx: note: whoever reaches 0.0.0.0 can open fpx explore there, unencrypted\n"
        )


def test_an_address_that_is_none_is_one_line() -> None:
    code, out, err = call("explore", "--web", "--host", "no.such.host.invalid")
    assert (code, out) == (2, "")
    assert err.startswith("fpx: note: whoever")
    assert err.splitlines()[1].startswith("fpx: --host no.such.host.invalid: nothing can listen")


# -- Chromium --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    driver = started(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


def until(condition: Callable[[], Any]) -> Any:
    """What a condition gives once it holds."""
    end = time.monotonic() + PATIENCE / 3
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    return pytest.fail("it never came to that")


class Terminal:
    """The program in the page."""

    def __init__(self, chrome: Chrome, port: int) -> None:
        self.chrome = chrome
        self._events: list[dict[str, Any]] = []
        logged(chrome, "performance")
        origin = f"http://127.0.0.1:{port}"
        grant = {"origin": origin, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        chrome.execute_cdp_cmd("Browser.grantPermissions", grant)
        chrome.get(f"{origin}/")
        until(lambda: self.run("return document.body.classList.contains('-first-byte')"))
        # the first picture, which comes in pieces
        size = -1
        while size != (size := len(chrome.get_screenshot_as_png())):
            time.sleep(0.5)

    def events(self, method: str) -> list[dict[str, Any]]:
        """What the browser did of a kind since the page was opened."""
        new = logged(self.chrome, "performance")
        self._events += [json.loads(entry["message"])["message"] for entry in new]
        return [event["params"] for event in self._events if event["method"] == method]

    def run(self, script: str) -> Any:
        return self.chrome.execute_script(script)

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.chrome).send_keys(*keys).perform()

    def click(self, column: int, line: int) -> None:
        """On a cell of the terminal, which has as many as the page asked the program for."""
        from selenium.webdriver.common.action_chains import ActionChains

        (socket_,) = self.events("Network.webSocketCreated")
        columns, lines = map(int, re.findall(r"=(\d+)", socket_["url"]))
        width, height, left, top = self.run(
            "const box = document.querySelector('.xterm-screen').getBoundingClientRect();"
            "return [box.width, box.height, box.left, box.top]"
        )
        actions = ActionChains(self.chrome)
        x = int(left + (column + 0.5) * width / columns)
        y = int(top + (line + 0.5) * height / lines)
        pointer: Any = actions.w3c_actions.pointer_action
        pointer.move_to_location(x, y)
        pointer.click()
        actions.perform()

    def copied(self, expected: str) -> None:
        """Waits until C has copied a command."""

        def there() -> bool:
            self.press("C")
            time.sleep(0.2)
            found: str = self.chrome.execute_async_script(
                "navigator.clipboard.readText().then(arguments[0], () => arguments[0](''))"
            )
            return found == expected

        until(there)


def test_in_chromium(chrome: Chrome, server: int, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    terminal = Terminal(chrome, server)
    command = "fpx decode {} --dtype bfloat16,float16,float32"
    terminal.copied(command.format("3.14"))
    terminal.press(Keys.ARROW_UP)
    terminal.copied(command.format("3.15625"))
    terminal.click(1, 2)  # the sign, on a page with blank lines between the parts: 0, 1, then bits
    terminal.copied(command.format("3.15625"))
    terminal.click(1, 3)
    terminal.copied(command.format("-3.15625"))
    assert chrome.get_screenshot_as_file(str(tmp_path / "explore.png"))
    assert chrome.get_window_size() == {"width": WIDTH, "height": HEIGHT}
    assert [each for each in logged(chrome, "browser") if each["level"] == "SEVERE"] == []
    terminal.press("q")
    until(lambda: terminal.run("return document.body.classList.contains('-closed')"))
    assert "has ended" in terminal.run("return document.body.innerText")
    own = (f"http://127.0.0.1:{server}/", "data:")
    requests = terminal.events("Network.requestWillBeSent")
    requested = {  # not for the empty page before it
        each["request"]["url"] for each in requests if each["documentURL"].startswith(own)
    }
    assert len(requested) > 3
    assert [url for url in requested if not url.startswith(own)] == []
