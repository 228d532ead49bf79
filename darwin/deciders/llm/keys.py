"""The key to a model's server: from the environment or a file it names, and never shown.

`OPENAI_API_KEY` or `ANTHROPIC_API_KEY` holds the key itself, `…_API_KEY_FILE` the path of a file
whose one line is the key. The config never does. A server on this machine may be asked without.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from darwin.errors import ConfigError

_LARGEST_FILE = 16 * 1024
_KEY = re.compile(r"[!-~]{1,4096}")  # what may stand in a header: no blank, no control character


class Secret:
    """A text that no repr, message or log shows; `reveal` where it is sent, and nowhere else."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(hidden)"


def find_key(variable: str, environ: Mapping[str, str], *, required: bool) -> Secret | None:
    """The key that `variable` holds, or the file that `variable`_FILE names.

    None where neither is set and it is not required. Raises ConfigError; no message holds
    anything of the key.
    """
    of_file = f"{variable}_FILE"
    key, path = environ.get(variable, ""), environ.get(of_file, "")
    if key and path:
        raise ConfigError(
            f"{variable} and {of_file} are both set", where="the environment", mend="unset one"
        )
    if key:
        return _checked(key.strip(), variable)
    if path:
        return _checked(_line(path, of_file), of_file)
    if not required:
        return None
    raise ConfigError(
        "no key for the server of the model",
        where=f"the environment: {variable}",
        mend=f"export {variable}, or {of_file} with the path of a file that holds it",
    )


def _line(path: str, variable: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(_LARGEST_FILE).decode("ascii").strip()
    except UnicodeDecodeError:
        return ""  # no key; its bytes are not for a message
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the path has a NUL"
        raise ConfigError(
            f"the file with the key cannot be read: {reason}",
            where=f"the environment: {variable}",
            mend="check path and permissions",
        ) from None


def _checked(text: str, variable: str) -> Secret:
    if _KEY.fullmatch(text) is None:
        raise ConfigError(
            "the key is none: it must be one line of visible ASCII without blanks",
            where=f"the environment: {variable}",
            mend="copy it again",
        )
    return Secret(text)
