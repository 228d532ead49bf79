"""Zips as stable-baselines3 writes them, and what ill intent makes of them. No torch here."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

NEVER_READ = (
    "data", "pytorch_variables.pth", "policy.optimizer.pth", "actor.optimizer.pth",
    "critic.optimizer.pth", "ent_coef_optimizer.pth", "_stable_baselines3_version",
    "system_info.txt",
)  # fmt: skip


class Payload:
    """Whoever unpickles this calls `act(*words)`."""

    def __init__(self, act: Callable[..., object], *words: object) -> None:
        self.act, self.words = act, words

    def __reduce__(self) -> tuple[Any, ...]:
        return self.act, self.words


def payloads(canary: Path) -> dict[str, Payload]:
    """Ways to leave a file behind."""
    touch = f"touch {canary}"
    return {
        "os.system": Payload(os.system, touch),
        "exec": Payload(exec, f"open({str(canary)!r}, 'w')"),
        "eval": Payload(eval, f"open({str(canary)!r}, 'w')"),
        "Popen": Payload(subprocess.Popen, ["touch", str(canary)]),
        "open": Payload(open, str(canary), "w"),
        "mkdir": Payload(os.mkdir, str(canary)),
    }


def pickled(payload: object, protocol: int = 2) -> bytes:
    return pickle.dumps(payload, protocol)


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def unzipped(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def like_torch(pickle_bytes: bytes = b"\x80\x02}.", **tensors: bytes) -> bytes:
    """Laid out as torch lays out its files; what the pickle says is another matter."""
    numbers = {f"archive/data/{name}": content for name, content in tensors.items()}
    return zipped(
        {
            "archive/data.pkl": pickle_bytes,
            "archive/byteorder": b"little",
            "archive/version": b"3\n",
        }
        | numbers
    )


def sb3_zip(policy: bytes, **members: bytes) -> bytes:
    """What stable-baselines3 would save, written the way it writes; `members` replace others."""
    files = {
        "data": b'{"policy_class": {":type:": "<class>", ":serialized:": "gASVAA=="}}',
        "pytorch_variables.pth": like_torch(),
        "policy.pth": policy,
        "policy.optimizer.pth": like_torch(),
        "_stable_baselines3_version": b"2.7.0",
        "system_info.txt": b"- OS: Linux\n- Python: 3.11\n",
    } | members
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            if name.endswith(".pth"):
                with archive.open(name, "w", force_zip64=True) as member:
                    member.write(content)
            else:
                archive.writestr(name, content)
    return out.getvalue()
