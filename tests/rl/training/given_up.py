"""Tries acts in processes that have given up what they do not need; prints how each of them ends.

`python given_up.py seen` with the watch of Python's own, `python given_up.py unseen` without it, as
for code that Python does not see: there the limits of the system alone hold.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from darwin.rl.training import foreign_child as child


def forever() -> None:
    while True:
        pass


ACTS: dict[str, Callable[[], object]] = {
    "open": lambda: Path("canary").write_text(""),
    "os.system": lambda: os.system("touch canary"),
    "os.posix_spawn": lambda: os.posix_spawn("/bin/touch", ["touch", "canary"], {}),
    "os.exec": lambda: os.execv("/bin/touch", ["touch", "canary"]),
    "subprocess.Popen": lambda: subprocess.Popen(["touch", "canary"]),
    "socket.__new__": socket.socket,
    "import": lambda: __import__("antigravity"),
    "os.fork": os.fork,
    "os.remove": lambda: Path("mine").unlink(),
    "os.rename": lambda: Path("mine").rename("canary"),
    "os.kill": lambda: os.kill(os.getppid(), 0),
    "ctypes.dlopen": lambda: ctypes.CDLL(None),
    "reckoning": lambda: os.write(1, b"%d" % sum(range(1000))),
    "memory": lambda: bytearray(1 << 30),
    "time": forever,
}


def end_of(name: str) -> tuple[int, str, list[str]]:
    """The exit code of an act (below 0: a signal), what was said, which files there are then."""
    pid = os.fork()
    if not pid:
        os.dup2(os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        child._give_up_the_rest(64 << 20, 1)
        ACTS[name]()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, Path("said").read_text(), sorted(path.name for path in Path().iterdir())


if __name__ == "__main__":
    if sys.argv[1] == "unseen":
        sys.addaudithook = lambda hook: None
    print(json.dumps({name: end_of(name) for name in ACTS}))
