"""A documented command that is not run, compared with the tool that it is for.

`problems` takes one command, `inner` gives those that it starts: `npm run check` starts what
package.json says, and that starts Python. A tool that no row here knows is a problem.
"""

import functools
import hashlib
import json
import re
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import helptext
from documents import VALUE, Words, split
from helptext import Option

UNKNOWN = "is neither run nor checked"


@dataclass(frozen=True)
class Place:
    """Where a command is typed: the folders in which its files may be, and the project whose npm
    scripts and commands it uses. `strict` is false for a mention in running text, which may leave
    out what has to follow."""

    folders: tuple[Path, ...]
    project: Path
    strict: bool = True

    def file(self, name: str) -> Path | None:
        """The file of that name, as seen from one of the folders."""
        found = [folder / name for folder in self.folders if (folder / name).exists()]
        return found[0] if found else None


Check = Callable[[Words, Place], list[str]]


# --- Tools that cannot be had where the tests run -------------------------------------------------

# Not checked against the tool. cloudflared:
# https://developers.cloudflare.com/cloudflare-one/tutorials/cli/ (login, curl, token) and
# https://developers.cloudflare.com/tunnel/features/locally-managed-tunnels/tunnel-useful-commands/.
# gh: https://cli.github.com/manual/gh_secret_set, …/gh_auth_login, …/gh_auth_setup-git.
# Where one of the two is installed, a test compares it with this table.
NOT_HERE: dict[str, dict[str, dict[str, Option]]] = {
    "cloudflared": {
        "access login": {},
        "access curl": {},
        "access token": {"--app": Option(True)},
        "tunnel run": {},
    },
    "gh": {
        "auth login": {},
        "auth setup-git": {},
        "secret set": {"--repo": Option(True)},
    },
}


def _not_here(words: Words, place: Place) -> list[str]:
    tool, command = words[0], " ".join(words[1:3])
    if command not in NOT_HERE[tool]:
        return [f"{tool} has no command {command!r} in the table NOT_HERE"]
    if command == "access curl":  # what follows is for curl
        return helptext.curl_problems(words[3:])
    return list(helptext.take(words[3:], NOT_HERE[tool][command]).problems)


# --- Tools that are here --------------------------------------------------------------------------


def _npm(words: Words, place: Place) -> list[str]:
    if words[1:2] != ("run",):
        return helptext.npm_problems(words[1:])
    name, more = " ".join(words[2:3]), words[3:]
    if name not in _scripts(place.project):
        return [f"package.json has no script {name!r}"]
    return [] if not more or more[0] == "--" else [f"{more[0]!r} needs -- before it"]


def _npx(words: Words, place: Place) -> list[str]:
    return [] if words[1:2] == ("wrangler",) else [UNKNOWN]


def _pywrangler(words: Words, place: Place) -> list[str]:
    """pywrangler hands what it does not know itself to wrangler; its own two take none of these."""
    if words[1:2] in (("types",), ("sync",)):
        return [f"{words[2]!r} is not looked at"] if words[2:] else []
    return helptext.wrangler_problems(words[1:])


def _uv(words: Words, place: Place) -> list[str]:
    return helptext.uv_problems(words[1:])


def _uvx(words: Words, place: Place) -> list[str]:
    known = helptext.options(helptext.ask("uvx", "--help"))
    taken = helptext.take(words[1:], known, stop=True)
    return [*taken.problems, *([] if taken.others else ["no tool is named"])]


def _sh(words: Words, place: Place) -> list[str]:
    """A script of the project's: run for real, against a port on which nothing listens."""
    if len(words) == 1:
        return []  # reads what another program says
    script = place.file(words[1])
    if script is None:
        return [f"there is no file {words[1]}"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        made_up = {"CF_ACCESS_CLIENT_ID": "x.access", "CF_ACCESS_CLIENT_SECRET": "made-up"}
        done = subprocess.run(
            ["sh", str(script), *words[2:]],
            env={"PATH": "/usr/bin:/bin", "URL": address, **made_up},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
    cannot_connect = 7  # curl's exit status: all that comes before was right
    return [] if done.returncode == cannot_connect else [done.stderr.strip()]


def _python(words: Words, place: Place) -> list[str]:
    """A module of the project's or of Python's own, or a script."""
    if words[1:2] == ("-m",):
        module = " ".join(words[2:3])
        if module == "venv":
            text = helptext.ask(sys.executable, "-m", "venv", "--help")
            return list(helptext.take(words[3:], helptext.options(text)).problems)
        if place.file(module) is None:
            return [UNKNOWN]
        return helptext.module_problems(same_commands(place.project), words[1:3], words[3:])
    script = place.file(words[1]) if len(words) > 1 else None
    if script is None:
        return [f"there is no file {' '.join(words[1:2])}"]
    source = script.read_text(encoding="utf-8")
    if "ArgumentParser" in source:
        return helptext.module_problems(script.parent, (str(script),), words[2:])
    return [f"no option {word}" for word in words[2:] if f'"{word}"' not in source]


_SEEN: dict[str, Path] = {}


def same_commands(project: Path) -> Path:
    """The first project whose ops/ holds the same: their help need not be asked for again. Only
    shape.py differs between projects with the same commands."""
    content = hashlib.sha256()
    for file in sorted((project / "ops").glob("*.py")):
        if file.name != "shape.py":
            content.update(file.name.encode() + file.read_bytes())
    return _SEEN.setdefault(content.hexdigest(), project)


def _help(*command: str) -> Check:
    """A tool whose help names all options in one text."""

    def check(words: Words, place: Place) -> list[str]:
        text = helptext.ask(*command, folder=Path(tempfile.gettempdir()))
        return helptext.mentioned_problems(text, words[1:])

    return check


def _ruff(words: Words, place: Place) -> list[str]:
    text = helptext.ask(sys.executable, "-m", "ruff", *words[1:2], "--help")
    if f"ruff {' '.join(words[1:2])} " not in text:
        return [f"ruff has no command {' '.join(words[1:2])!r}"]
    return list(helptext.take(words[2:], helptext.options(text)).problems)


def _zensical(words: Words, place: Place) -> list[str]:
    text = helptext.ask("zensical", *words[1:2], "--help")
    if f"zensical {' '.join(words[1:2])} " not in text:
        return [f"zensical has no command {' '.join(words[1:2])!r}"]
    return helptext.mentioned_problems(text, words[2:])


def _copies(words: Words, place: Place) -> list[str]:
    """Whatever is copied is there."""
    named = [word for word in words[1:-1] if not word.startswith("-") and VALUE not in word]
    return [f"there is no file {name}" for name in named if place.file(name) is None]


def _nothing(words: Words, place: Place) -> list[str]:
    """A shell's own command: bash has taken it."""
    return []


TOOLS: dict[str, Check] = {
    **dict.fromkeys(NOT_HERE, _not_here),
    **dict.fromkeys(("cd", "read", "."), _nothing),
    "copier": lambda words, place: helptext.copier_problems(words[1:]),
    "cp": _copies,
    "curl": lambda words, place: helptext.curl_problems(words[1:]),
    "git": lambda words, place: helptext.git_problems(words[1:]),
    "mypy": _help(sys.executable, "-m", "mypy", "--help"),
    "npm": _npm,
    "npx": _npx,
    "pytest": _help(sys.executable, "-m", "pytest", "--noconftest", "--help"),
    "python": _python,
    "python3": _python,
    "pywrangler": _pywrangler,
    "ruff": _ruff,
    "sh": _sh,
    "uv": _uv,
    "uvx": _uvx,
    "wrangler": lambda words, place: helptext.wrangler_problems(words[1:]),
    "zensical": _zensical,
}
# These start Node a second and more for each command that they are asked for.
SLOW = ("pywrangler", "wrangler")


def problems(words: Words, place: Place) -> list[str]:
    """What the tool does not know of this command; [] when all is well."""
    check = TOOLS.get(words[0])
    found = check(words, place) if check else [UNKNOWN]
    if not place.strict:
        found = [line for line in found if not re.search(r"is missing$|lacks its|^no a", line)]
    return found


def inner(words: Words, place: Place) -> tuple[Words, ...]:
    """The commands that this one starts, without theirs."""
    if words[:2] == ("npm", "run"):
        return _script(words[2:], place.project)
    if words[:2] == ("uv", "run"):
        command = helptext.uv_run(words[2:])
        if command and command[0].endswith(".py"):
            command = ("python", *command)
        return (command,) if command else ()
    if words[0] == "npx":
        return (words[1:],) if words[1:2] == ("wrangler",) else ()
    if words[0] == "uvx":
        known = helptext.options(helptext.ask("uvx", "--help"))
        tool = helptext.take(words[1:], known, stop=True).others
        return (tool,) if tool else ()
    return ()


def _script(words: Words, project: Path) -> tuple[Words, ...]:
    """What `npm run …` runs: npm puts what follows -- behind the script."""
    scripts = _scripts(project)
    if not words or words[0] not in scripts:
        return ()
    more = [word for word in words[1:] if word != "--"]
    line = " ".join([scripts[words[0]], *(shlex.quote(word) for word in more)])
    return tuple(command for _, command in split((line,), False).commands)


@functools.cache
def _scripts(project: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((project / "package.json").read_text("utf-8"))["scripts"]
    return found


def with_inner(words: Words, place: Place) -> list[Words]:
    """The command and all that it starts."""
    found = [words]
    for command in inner(words, place):
        found += with_inner(command, place)
    return found
