"""`check`: look for mistakes before they are deployed. It reads files and opens no connection."""

import argparse
import json

from rich.console import Console

from ..config import Config
from ..project import WRANGLER, Project
from ..text import plain
from . import addresses, code, configuration, files, keys, managed, repository, roles, secrets
from .finding import WHY, Finding

LOOKS = (addresses, keys, configuration, secrets, code, roles, files, managed, repository)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add, said = parser.add_argument, "leave out a rule, such as placeholder (repeatable)"
    add("--json", action="store_true", help="print JSON and nothing else")
    add("--allow", metavar="RULE", action="append", default=[], choices=WHY, help=said)


def run(options: argparse.Namespace) -> int:
    """0 when nothing was found, 1 otherwise. Raises Problem when there is nothing to read."""
    project: Project = options.project
    config, keep = Config(project.root / WRANGLER), managed.kept(project.root)
    every = [finding for look in LOOKS for finding in look.findings(config, project)]
    found = [each for each in every if each.rule != "edited-file" or each.file not in keep]
    kept = [each.file for each in every if each.rule == "edited-file" and each.file in keep]
    # What is only not filled in yet comes last.
    found.sort(key=lambda finding: finding.rule == "placeholder")
    wrong = [finding for finding in found if finding.rule not in options.allow]
    if options.json:
        listed = [{**finding._asdict(), "why": WHY[finding.rule]} for finding in wrong]
        print(json.dumps({"ok": not wrong, "findings": listed, "kept": kept}))
    else:
        print_findings(wrong, kept, allowed=len(found) - len(wrong))
    return 1 if wrong else 0


def print_findings(findings: list[Finding], kept: list[str], allowed: int) -> None:
    """One block for each finding, the files that are kept as edited, and a line that sums up."""
    # Text from outside stays text, and a command can be copied whole.
    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    for rule, file, line, wrong, fix in findings:
        where = f"{file}:{line}" if line else file
        console.print(plain(f"{where}  {rule}", 1000), style="bold")
        for label, text in (("wrong", wrong), ("why", WHY[rule]), ("fix", fix)):
            console.print(f"  {label:7}{plain(text, 1000)}")
        console.print()
    if kept:
        console.print(plain(f"Kept as edited: {', '.join(kept)}", 1000))
    count = f"Problems found: {len(findings)}" if findings else "Nothing is wrong"
    console.print(f"{count} ({allowed} left out by --allow)." if allowed else f"{count}.")
