"""Text from outside: files of a bounded size, and what may be shown on a terminal."""

import json
from pathlib import Path

from .project import Problem

LARGEST = 1_000_000  # bytes of a file that a person writes


def read(path: Path) -> str:
    """A UTF-8 file, byte order mark and line ends included. Raises Problem."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise Problem(f"{path.name} has more than {LARGEST} bytes: make it shorter")
        return content.decode("utf-8")
    except OSError as error:
        raise Problem(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Problem(f"{path.name} is not UTF-8, at byte {error.start}") from None


def plain(value: object, limit: int = 200) -> str:
    """One short line. What could steer a terminal becomes `\\x1b` and such."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value))
    return text if len(text) <= limit else text[: limit - 3] + "..."


def shown(value: object, limit: int = 400) -> str:
    """A JSON value on one short line, its letters as they are."""
    return plain(json.dumps(value, ensure_ascii=False), limit)
