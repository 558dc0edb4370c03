"""The page of the commands: what they say themselves, in a project that was rendered for it."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

from reference_markdown import block, code, either, table, text
from reference_render import render

EVERY = {"profile": "custom", "callers": "[human, machine, binding]", "staging": "true"}
INSIDE = {"profile": "internal"}

INTRO = """# Commands

## npm scripts

In a project for all kinds of callers, with staging. Options follow after `--`, as in
`npm run provision -- --apply`.

"""


def page() -> str:
    every, inside = render(EVERY), render(INSIDE)
    return INTRO + scripts(every) + "\n## The commands of ops\n" + ops(every, inside)


def scripts(project: Path) -> str:
    package = json.loads((project / "package.json").read_text(encoding="utf-8"))
    rows = [[code(f"npm run {name}"), code(runs)] for name, runs in package["scripts"].items()]
    return table(["command", "runs"], rows)


def ops(every: Path, inside: Path) -> str:
    names = list(commands(every))
    missing = [name for name in names if name not in commands(inside)]
    without = (
        f" A project without an address has no {either([code(name) for name in missing])}."
        if missing
        else ""
    )
    parts = [
        f"\nThey come with the answer `ops=true`, which is the default.{without}\n\n",
        statuses(every),
        *(f"\n### {code(name)}\n\n{block('text', helped(every, name))}" for name in names),
    ]
    return "".join(parts)


def main_file(project: Path) -> ast.Module:
    return ast.parse((project / "ops" / "__main__.py").read_text(encoding="utf-8"))


def commands(project: Path) -> dict[str, str]:
    """Each command with its summary."""
    for node in main_file(project).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMMANDS":
            found: dict[str, str] = ast.literal_eval(node.value)
            return found
    raise ValueError("ops/__main__.py has no COMMANDS")


def statuses(project: Path) -> str:
    """What ops/__main__.py says about exit statuses."""
    paragraphs = (ast.get_docstring(main_file(project)) or "").split("\n\n")
    [found] = [words for words in paragraphs if words.startswith("Exit status")]
    return text(found) + "\n"


def helped(project: Path, name: str) -> str:
    """`--help` on a terminal of 80 columns without colours."""
    done = subprocess.run(
        [sys.executable, "-m", "ops", name, "--help"],
        cwd=project,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout
