"""Projects rendered from the working tree, by Copier itself."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from copier import Settings, run_copy

from questions import ROOT

FOLDER = "my-api"
TEMPLATE = "gh:org/private-worker"
_open: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


@cache
def scratch() -> Path:
    """A folder with the template's own files, without git, for as long as this process runs."""
    kept = tempfile.TemporaryDirectory(prefix="reference-")
    _open.append(kept)
    for name in ("includes", "template"):
        shutil.copytree(ROOT / name, Path(kept.name, "source", name))
    shutil.copy(ROOT / "copier.yml", Path(kept.name, "source"))
    Path(kept.name, "settings.yml").write_text("defaults: {}\n", encoding="utf-8")
    return Path(kept.name)


def command(answers: Mapping[str, str]) -> str:
    """The command as a person types it, one answer on a line."""
    lines = [f"  --data {shlex.quote('='.join(item))} \\\n" for item in answers.items()]
    return f"uvx copier copy --defaults \\\n{''.join(lines)}  {TEMPLATE} {FOLDER}\n"


def run(typed: str) -> Path:
    """A fresh project, made by the text of `command`. Do not change it.

    Raises subprocess.CalledProcessError when Copier refuses.
    """
    place = Path(tempfile.mkdtemp(dir=scratch()))
    _, _, *words = shlex.split(
        typed.replace("\\\n", " ").replace(TEMPLATE, str(scratch() / "source"))
    )
    subprocess.run(
        [sys.executable, "-m", "copier", *words],
        cwd=place,
        env={**os.environ, "COPIER_SETTINGS_PATH": str(scratch() / "settings.yml")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    return place / FOLDER


def render(answers: Mapping[str, str], only: Sequence[str] = ("*",)) -> Path:
    """The same without a process of its own, which is faster. `only` are the files to write."""
    folder = Path(tempfile.mkdtemp(dir=scratch())) / FOLDER
    run_copy(
        str(scratch() / "source"),
        folder,
        data=dict(answers),
        defaults=True,
        quiet=True,
        settings=Settings(),
        exclude=("*", *(f"!{name}" for name in only)),
    )
    return folder
