"""A real terminal: a shell in tmux, on a socket of its own. For tests, and for the pictures that
tools/screenshot.py makes.

The shell knows `uvx`, which runs what is installed here, and `gh:org/private-worker`, which is the
template that it is given. So the commands of the README are typed as they stand there.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

COLUMNS, ROWS = 80, 24  # what a terminal has had since the VT100
PATIENCE = 60.0  # seconds until a text has to be on the screen
BLINK = 0.05  # seconds: a screen that stays the same for so long is complete
HUB = "https://github.com/org/private-worker"  # what Copier makes of gh:org/private-worker
COMMAND = "uvx copier copy gh:org/private-worker my-api"
ENTER, DOWN, SPACE, CLEAR, INTERRUPT = "\r", "\x1b[B", " ", "\x15", "\x03"

# What a person reads, and what they type when they read it.
Script = Iterable[tuple[str, str]]


class Missing(Exception):
    """A tool is not installed, or a text did not come. The message says which."""


def needed(program: str) -> str:
    """Where the program is. Missing if it is nowhere."""
    found = shutil.which(program)
    if found is None:
        raise Missing(f"{program} is not installed. On Debian: apt-get install {program}")
    return found


class Terminal:
    """A shell that waits for commands in `folder`, ended with the `with` block whatever happens.

    `template` is a git repository, `home` a folder for the shell's own files. `variables` are set
    in the shell.
    """

    def __init__(
        self,
        template: Path,
        folder: Path,
        home: Path,
        columns: int = COLUMNS,
        rows: int = ROWS,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        socket = f"private-worker-{uuid.uuid4().hex}"
        self._tmux = [needed("tmux"), "-L", socket, "-u", "-f", os.devnull]
        self._size = ["-x", str(columns), "-y", str(rows)]
        self._folder = folder
        self._profile = home / "profile"
        home.mkdir(parents=True, exist_ok=True)
        self._profile.write_text(_profile(template, home, variables or {}), encoding="utf-8")

    def __enter__(self) -> "Terminal":
        shell = ["bash", "--noprofile", "--rcfile", str(self._profile), "-i"]
        try:
            self._run("new-session", "-d", *self._size, "-c", str(self._folder), shlex.join(shell))
            self.wait_for("$")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True)

    def _run(self, *arguments: str) -> str:
        command = [*self._tmux, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
        if done.returncode:
            raise Missing(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def type(self, keys: str) -> None:
        """Type text and keys, as in the constants above."""
        self._run("send-keys", "-l", "--", keys)

    def screen(self) -> list[str]:
        """What is on the screen: lines without spaces at their ends, none that is empty below."""
        return _lines(self._run("capture-pane", "-p"))

    def everything(self, colours: bool = False) -> list[str]:
        """The screen with all that was scrolled away; with the codes for colours if asked."""
        return _lines(self._run("capture-pane", "-p", "-S", "-", *["-e"] * colours))

    def wait_for(self, text: str, patience: float = PATIENCE) -> list[str]:
        """The screen, as soon as a line of it has the text. Missing if none gets it in time."""
        deadline = time.monotonic() + patience
        before, now = [""], self.screen()
        while now != before or not any(text in line for line in now):
            if time.monotonic() > deadline:
                raise Missing("\n".join([f"not on the screen: {text!r}", *now]))
            time.sleep(BLINK)
            before, now = now, self.screen()
        return now

    def wait_for_shell(self, patience: float = PATIENCE) -> list[str]:
        """The screen, as soon as the command is over. Missing if it is not in time."""
        deadline = time.monotonic() + patience
        while (now := self.screen())[-1:] != ["$"]:
            if time.monotonic() > deadline:
                raise Missing("\n".join(["the command is not over:", *now]))
            time.sleep(BLINK)
        return now

    def interview(self, script: Script, command: str = COMMAND) -> list[list[str]]:
        """Run Copier and answer. What was on the screen at each question, and at the end."""
        self.type(command + ENTER)
        screens = []
        for question, keys in script:
            screens.append(self.wait_for(question))
            self.type(keys)
        return [*screens, self.wait_for_shell()]


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _profile(template: Path, home: Path, variables: Mapping[str, str]) -> str:
    """What the shell reads first. No settings, cache or history of whoever runs it."""
    (home / "settings.yml").write_text("defaults: {}\n", encoding="utf-8")
    (home / "gitconfig").write_text(f'[url "{template}"]\n\tinsteadOf = {HUB}.git\n')
    settings = {
        "HOME": str(home),
        "PS1": "$ ",
        "LC_ALL": "C.UTF-8",
        "COPIER_SETTINGS_PATH": str(home / "settings.yml"),
        "COPIER_CACHE_DIR": str(home / "cache"),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_SYSTEM": os.devnull,
        **variables,
    }
    lines = [
        "unset HISTFILE NO_COLOR COLUMNS LINES PROMPT_COMMAND PROMPT_TOOLKIT_COLOR_DEPTH",
        f'copier() {{ {shlex.quote(sys.executable)} -m copier "$@"; }}',
        'uvx() { "$@"; }',
        *(f"export {name}={shlex.quote(value)}" for name, value in settings.items()),
    ]
    return "\n".join([*lines, ""])
