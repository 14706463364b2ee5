"""A python for processes of their own that has imported torch before it is asked for."""

from __future__ import annotations

import atexit
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_SERVER = """
import atexit, contextlib, gc, json, os, runpy, select, signal, socket, sys, threading
import numba, torch, torch._dynamo  # the last is what optimizers import
gc.freeze()  # or each fork looks through all of torch

def take(args, env, cwd, stdio):
    for number, stream in enumerate(stdio):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    option, what, *rest = args
    sys.argv[:] = [option, *rest]
    code = 0
    try:
        if option == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        elif option == "-c":
            exec(what, {"__name__": "__main__"})
        else:
            sys.exit(f"a process with torch takes -c or -m, not {option}")
    except SystemExit as ended:
        code = ended.code or 0
        if not isinstance(code, int):
            raise
    end(code)

def end(code):  # as Python does, but that torch is not taken apart, which is most of the work
    threading._shutdown()
    atexit._run_exitfuncs()
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Python tells of those
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)
    sys.exit(code)

def serve(listener):
    children = {}  # by what tells that one ended: it, and who asked for it
    while True:
        clients = {client: child for child, client in children.values()}
        for ready in select.select([listener, 0, *children, *clients], [], [])[0]:
            if ready == 0:
                os._exit(0)
            elif ready in clients:  # a child ends with who asked for it
                with contextlib.suppress(ProcessLookupError):
                    os.kill(clients[ready], signal.SIGKILL)
            elif ready in children:
                child, client = children.pop(ready)
                os.close(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                with contextlib.suppress(OSError), client:
                    client.sendall(b"%d" % code)
            else:
                client, _ = listener.accept()
                size = int.from_bytes(client.recv(4, socket.MSG_WAITALL))
                asked = json.loads(client.recv(size, socket.MSG_WAITALL))
                _, stdio, _, _ = socket.recv_fds(client, 1, 3)
                child = os.fork()
                if not child:
                    for each, other in children.items():
                        os.close(each)
                        other[1].close()
                    client.close()
                    return asked, stdio
                for stream in stdio:
                    os.close(stream)
                children[os.pidfd_open(child)] = child, client

with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    print(flush=True)
    asked, stdio = serve(listener)
take(**asked, stdio=stdio)
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
