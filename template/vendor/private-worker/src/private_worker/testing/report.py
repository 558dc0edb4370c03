"""What the Worker printed and raised, for the person whose test has failed."""

import json
import re
from collections.abc import Callable, Iterable

# Where files are in the runtime and what they are called here: those of packages are not shown,
# then come the project's own, then those of the Workers that a test runs beside it.
PLACES = {"/session/metadata/python_modules/": "", "/session/metadata/": "src/"}
PLACES |= {"/session/beside/": "beside/"}


def readable(text: str) -> str:
    """A text with tracebacks in it, of which only frames of the project's own files are kept.

    Such a frame reads `src/api.py:21: in handle`, which editors and terminals make a link. The
    guard's frames are kept where there are no others.
    """
    shown = _readable(text, "src/guard/")
    return shown if re.search(r"(?m)^(src|beside)/", shown) else _readable(text, None)


def _readable(text: str, left_out: str | None) -> str:
    kept, keep = [], True
    for line in text.strip("\n").splitlines():
        if frame := re.match(r'  File "(.+?)", line (\d+)(?:, (in .+))?', line):
            path = _path(frame[1])
            keep = bool(path) and not (left_out and path.startswith(left_out))
            line = f"{path}:{frame[2]}:{' ' + frame[3] if frame[3] else ''}"
        elif line.endswith("Traceback (most recent call last):"):
            keep = False
        elif not line.startswith("    "):
            keep = True
        if keep:
            kept.append(line)
    return "\n".join(kept)


def _path(name: str) -> str:
    """The path of a file in a traceback, "" for one that is not shown."""
    for place, shown in PLACES.items():
        if name.startswith(place):
            return shown and shown + name.removeprefix(place)
    return ""


def forgotten_await(lines: Iterable[str]) -> str:
    """What to say of a missing `await`, "" where none is. Python logs where the coroutine began."""
    text = "\n".join(lines)
    if not (found := re.search(r"coroutine '(\S+)' was never awaited", text)):
        return ""
    made = re.match(r"(\n.*created at.*(\n  .*)*)?", text[found.end() :])
    frames = re.findall(r'File "(.+?)", line (\d+)', made[0] if made else "")
    places = [f"{_path(name)}:{line}: " for name, line in frames if _path(name)]
    own = [place for place in places if not place.startswith("src/guard/")]
    place = (own or places or [""])[-1]
    return f"{place}an await is missing: the coroutine {found[1]} was never awaited"


def of_logs(lines: Iterable[str], hint: Callable[[str, bool], str]) -> str:
    """The Worker's log with its exceptions in the form of `readable`, and what to do about names
    that are missing in `env`.
    """
    shown = []
    for line in lines:
        try:
            entry = json.loads(line)
            line = entry["detail"] if entry["event"] == "error" else line
        except (ValueError, TypeError, KeyError):
            pass  # a line of the owner's own
        shown.append(line)
    text = readable("\n".join(shown))
    named = re.findall(r"(?m)^AttributeError: ([A-Z][A-Z0-9_]*)(\. Did you mean.*)?$", text)
    hints = [hint(name, bool(guess)) for name, guess in sorted({*named})]
    return "\n".join([text, *filter(None, hints)])
