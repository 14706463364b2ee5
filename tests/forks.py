"""A python for processes of their own that has imported torch before it is asked for."""

from __future__ import annotations

import atexit
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_SERVER = """
import gc, json, os, runpy, select, signal, socket, sys
import torch
gc.freeze()  # or each fork looks through all of torch when it ends

def take(asked, stdio):
    for number, stream in enumerate(stdio):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    option, what, *args = asked["args"]
    sys.argv[:] = [option, *args]
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif option == "-c":
        exec(what, {"__name__": "__main__"})
    else:
        sys.exit(f"a process with torch takes -c or -m, not {option}")

def watch(child):  # it ends with who asked for it
    ended = os.pidfd_open(child)
    if connection in select.select([connection, ended], [], [])[0]:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        connection.sendall(b"%d" % code)
    finally:
        os._exit(0)

with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    print(flush=True)
    watchers = set()
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        if 0 in ready:
            sys.exit()
        watchers = {each for each in watchers if os.waitpid(each, os.WNOHANG) == (0, 0)}
        connection, _ = listener.accept()
        watcher = os.fork()
        if not watcher:
            break
        watchers.add(watcher)
        connection.close()
with connection:
    size = int.from_bytes(connection.recv(4, socket.MSG_WAITALL))
    asked = connection.recv(size, socket.MSG_WAITALL)
    _, stdio, _, _ = socket.recv_fds(connection, 1, 3)
    child = os.fork()
    if child:
        for stream in (0, 1, 2, *stdio):
            os.close(stream)
        watch(child)
take(json.loads(asked), stdio)
"""

_CLIENT = """
import json, os, signal, socket, sys
asked = {"args": sys.argv[2:], "env": dict(os.environ), "cwd": os.getcwd()}
said = json.dumps(asked).encode()
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    connection.sendall(len(said).to_bytes(4) + said)
    socket.send_fds(connection, [b"."], [0, 1, 2])
    code = int(connection.recv(16))
if code < 0:
    signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@cache
def with_torch() -> list[str]:
    """What starts a process as `python -P` does, to be followed by `-c` or `-m`.

    On Linux that is a fork of one which has imported torch, as most of the time of a short command
    is; it sees the caller's streams, environment and directory, and ends with the caller.
    """
    if sys.platform != "linux":
        return [sys.executable, "-P"]
    folder = Path(tempfile.mkdtemp())
    client, address = folder / "client.py", folder / "server"
    client.write_text(_CLIENT)
    server = subprocess.Popen(
        [sys.executable, "-P", "-X", "utf8", "-c", _SERVER, str(address)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None

    def end() -> None:
        server.communicate()
        address.unlink()
        client.unlink()
        folder.rmdir()

    atexit.register(end)
    server.stdout.readline()
    return [sys.executable, "-IS", str(client), str(address)]
