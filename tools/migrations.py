"""The entries under `_migrations` in copier.yml, and their scripts. hooks/README.md says how one is
written."""

import re
from collections.abc import Iterator
from typing import Any

from packaging.version import InvalidVersion, Version

from template import STOPS, Problem, Template, one_line

WHERE = "copier.yml, _migrations"
PYTHON = "{{ _copier_python }}"
SCRIPT = re.compile(r"\{\{ _copier_conf\.src_path \}\}/(hooks/migrations/\w+\.py)")
READ = "Write it as hooks/README.md says"


def migrations(
    old: Template, new: Template, last: str, version: str | None = None
) -> Iterator[Problem]:
    """Old entries stay as they are; a new one is of this release, and runs before the update."""
    for entry in old.migrations:
        if entry not in new.migrations:
            what = f"the migration of {_get(entry, 'version')} is gone or has changed"
            yield Problem(WHERE, what, "Put it back: people cross that release later than you")
    for entry in new.migrations:
        # The first release is compared with itself: its own entries are new.
        is_new = entry not in old.migrations or old is new
        wrong = list(_entry(entry, new))
        yield from wrong or (_version(entry, last, version) if is_new else [])


def scripts(old: Template, new: Template) -> str:
    """The text of the scripts that are new."""
    added = [entry for entry in new.migrations if entry not in old.migrations]
    return "\n".join((new.folder / _script(entry)).read_text("utf-8") for entry in added)


def _get(entry: Any, key: str) -> Any:
    return entry.get(key) if isinstance(entry, dict) else None


def _script(entry: Any) -> str:
    """Its path in the template; nothing where the command is another one."""
    command = _get(entry, "command")
    if not isinstance(command, list) or len(command) != 2 or command[0] != PYTHON:
        return ""
    found = SCRIPT.fullmatch(str(command[1]))
    return found[1] if found else ""


def _entry(entry: Any, new: Template) -> Iterator[Problem]:
    if not _get(entry, "version"):
        what = "a migration without `version:` would ask for --trust on every update"
        yield Problem(WHERE, what, "Give it the version of the release that needs it")
    elif not isinstance(entry, dict) or entry.keys() - {"version", "when", "command"}:
        yield Problem(WHERE, f"that of {entry['version']} has other keys", READ)
    elif not (script := _script(entry)):
        yield Problem(WHERE, f"that of {entry['version']} runs another command", READ)
    elif not (new.folder / script).is_file():
        yield Problem(WHERE, f"{script} is missing", "Add it, or correct the name")
    else:
        try:
            when = str(entry.get("when", "{{ _stage == 'after' }}"))
            stages = [s for s in ("before", "after") if new.value(when, {"_stage": s})]
        except STOPS as error:
            yield Problem(WHERE, one_line(error), READ)
            return
        if stages != ["before"]:
            what = f"{script} does not run before the update and only then"
            do = "Afterwards the old names are gone, with the edits: hooks/README.md"
            yield Problem(WHERE, what, do)


def _version(entry: Any, last: str, version: str | None) -> Iterator[Problem]:
    try:
        found = Version(str(entry["version"]))
    except InvalidVersion as error:
        yield Problem(WHERE, one_line(error), "Give it the version of the release that needs it")
        return
    if found <= Version(last) or version and found != Version(version):
        what = f"that of {entry['version']} does not run on the way from {last} to this release"
        yield Problem(WHERE, what, f"Give it {version or f'a version above {last}'}")
