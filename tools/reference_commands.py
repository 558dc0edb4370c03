"""The page of the commands: what they say themselves."""

import json
import os
import subprocess
import sys
from pathlib import Path

from private_worker import cli
from reference_markdown import block, code, either, table, text
from reference_render import render

EVERY = {"profile": "custom", "callers": "[human, machine, binding]", "staging": "true"}
PACKAGE = Path(cli.__file__).parents[1]

INTRO = """# Commands

## npm scripts

In a project for all kinds of callers, with staging. Options follow after `--`, as in
`npm run provision -- --apply`.

"""


def page() -> str:
    return INTRO + scripts(render(EVERY)) + "\n## The command private-worker\n" + commands()


def scripts(project: Path) -> str:
    package = json.loads((project / "package.json").read_text(encoding="utf-8"))
    rows = [[code(f"npm run {name}"), code(runs)] for name, runs in package["scripts"].items()]
    return table(["command", "runs"], rows)


def commands() -> str:
    edge_only = either([code(name) for name in cli.EDGE_ONLY])
    paragraphs = (cli.__doc__ or "").split("\n\n")
    [statuses] = [words for words in paragraphs if words.startswith("Exit status")]
    parts = [
        "\nIt is part of `vendor/private-worker`, which every project has; its npm scripts come "
        "with the answer `ops=true`, the default. "
        f"A project without an address has no {edge_only}.\n\n",
        text(statuses) + "\n",
        *(f"\n### {code(name)}\n\n{block('text', helped(name))}" for name in cli.COMMANDS),
    ]
    return "".join(parts)


def helped(name: str) -> str:
    """`--help` on a terminal of 80 columns without colours."""
    paths = {"PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "private_worker", name, "--help"],
        env={**os.environ, **paths, "COLUMNS": "80", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout
