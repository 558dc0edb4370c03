"""Copier as a person runs it, and the commands and messages that the documentation shows."""

import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import plumbum

from conftest import ROOT

Done = subprocess.CompletedProcess[str]


def copier_alone(*arguments: str, folder: Path) -> Done:
    """The command line in a process of its own, with what migrations write."""
    return subprocess.run(
        [sys.executable, "-m", "copier", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def copier(
    *arguments: str, folder: Path | None = None, env: Mapping[str, str] | None = None
) -> Done:
    """The command line, never with a terminal.

    In this process, where Copier is imported already: that saves most of the time of a small copy.
    plumbum, which starts git for it, has read the environment at its import.
    """
    given = ["copier", *arguments]
    output, error = io.StringIO(), io.StringIO()
    env = dict(os.environ) if env is None else env
    with (
        open(os.devnull) as nothing,
        mock.patch.dict(os.environ, env, clear=True),
        mock.patch.object(sys, "argv", given),
        mock.patch.object(sys, "stdin", nothing),
        plumbum.local.env(**env),
        plumbum.local.cwd(folder or Path.cwd()),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(error),
    ):
        try:
            runpy.run_module("copier", run_name="__main__")
            code: object = 0
        except SystemExit as end:
            code = end.code or 0
        except Exception:  # what a person would see as a traceback
            error.write(traceback.format_exc())
            code = 1
    assert isinstance(code, int), code
    return Done(given, code, output.getvalue(), error.getvalue())


def section(document: str, heading: str | None) -> str:
    """The text under a heading of any level, up to the next heading."""
    text = (ROOT / document).read_text(encoding="utf-8")
    if heading is None:
        return text
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#+ |\Z)", text, re.M | re.S)
    assert found, f"{document} has no section {heading!r}"
    return found[1]


def shell(document: str, heading: str | None = None) -> list[str]:
    """Each `sh` block, without its comments."""
    blocks = re.findall(r"```sh\n(.*?)```", section(document, heading), re.DOTALL)
    return [re.sub(r"[ \t]+# .*$", "", block, flags=re.MULTILINE) for block in blocks]


def documented(document: str, heading: str | None = None) -> list[list[str]]:
    """Each line of those blocks, split like a shell does."""
    lines = "".join(shell(document, heading)).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def quoted(document: str, heading: str) -> list[str]:
    """Each `text` block: what Copier says."""
    blocks = re.findall(r"```text\n(.*?)```", section(document, heading), re.DOTALL)
    return [block.strip() for block in blocks]


def words(text: str) -> str:
    """One line, without the colours of a terminal."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def after_the_copy(message: str) -> list[str]:
    """The commands in the message after a copy: its indented lines, without their comments."""
    found = [line.strip() for line in message.splitlines() if line.startswith("  ")]
    return [re.sub(r"\s+# .*$", "", line) for line in found]
