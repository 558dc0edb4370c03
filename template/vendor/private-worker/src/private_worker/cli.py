"""The command line: `private-worker <command>`, from any folder of a project.

Exit status: 0 all is well, 1 the command found something wrong or did not finish, 2 it could not
start (a wrong option, file, variable or permission), 130 it was stopped with Ctrl-C.
"""

import argparse
import os
import re
import sys
from importlib import import_module
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from .project import Problem, find_root, read
from .text import plain

# Each is a sub-package with `add_arguments(parser)` and `run(options)`, which returns the exit
# status; `options.project` is the Project. Loaded only to run: `check` needs no Cloudflare SDK.
COMMANDS = {
    "check": "look for mistakes in the settings and in the repository (offline)",
    "locked": "install for a deploy what pylock.toml says, and refuse anything else",
    "provision": "set up Cloudflare Access: shows a plan; --apply carries it out",
    "probe": "try every way in from outside and report what is open",
    "local": "play Cloudflare Access on this computer, in front of npm run dev",
}
NPM = ("check", "provision", "probe", "local")  # what package.json has a script for
EDGE_ONLY = ("provision", "local")


class Parser(argparse.ArgumentParser):
    """Reports a wrong option in one line."""

    def error(self, message: str) -> NoReturn:
        name = self.prog.partition(" ")[2]
        start = f"npm run {name} --" if name in NPM else f"uv run {self.prog}"
        raise Problem(f"{plain(message, 1000)}; see: {start} --help")


def main() -> int:
    """Run the command that the command line names and return its exit status."""
    if isinstance(sys.stdout, TextIOWrapper):  # an ASCII terminal shows "é" as "\xe9"
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
        return status
    except Problem as problem:
        print(f"private-worker: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("private-worker: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def run(words: list[str]) -> int:
    """Run one command and return its exit status. Raises Problem."""
    parser = Parser(prog="private-worker", description="Look after this Worker.")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name in words[:1]:
            try:
                module = import_module(f".{name}", __package__)
            except ModuleNotFoundError as error:
                said = f"{error.name} is not installed; start it with: npm run {name}"
                raise Problem(said) from None
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    for before, word in pairwise(["", *words]):  # as of a variable that is not set
        empty = before.startswith("--") and not word.strip()
        if empty or re.fullmatch(r"--[\w-]+=\s*", word):
            raise Problem(f"{(before if empty else word).rstrip('= ')} is empty")
    options, unknown = parser.parse_known_args(words)
    if unknown:
        commands.choices[options.command].error(f"there is no option or argument {unknown[0]}")
    options.project = read(find_root(Path.cwd()))
    if options.command in EDGE_ONLY and not options.project.shape.edge:
        said = "this Worker was made without a public address, so Access has nothing to protect"
        raise Problem(f"there is no {options.command} here: {said}")
    return int(options.run(options))
