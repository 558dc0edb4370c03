"""What an update does to people's files: those that go away, and settings that change."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

import archives
import shapes
from files import read_jsonc
from migrations import scripts
from replay import answered
from template import ANSWERS, STOPS, Problem, Template, one_line

WRANGLER = "wrangler.jsonc"
WINDOWS = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ](/|\Z)')
RESERVED = re.compile(r"(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.[^/]*)?(/|$)", re.IGNORECASE)


def renders(old: Template, new: Template) -> Iterator[Problem]:
    """Every tested project can be rendered with its stored answers, and can be updated later."""
    for label in shapes.of_interest():
        stored = answered(old, label)
        if stored is None:
            continue
        try:
            own = yaml.safe_load(new.files(stored)[ANSWERS])
        except STOPS as error:
            yield Problem(f"template/, answers {label}", one_line(error), "Correct the template")
            return
        kept = {name: value for name, value in own.items() if name.startswith("_")}
        if kept != {"_src_path": str(new.folder)}:
            what = f"it says {kept} where Copier gave only the template's address"
            yield Problem(ANSWERS, what, "Render `_copier_answers` and nothing else")
            return


def paths(old: Template, new: Template) -> Iterator[Problem]:
    """A file that the new version does not render is deleted by an update, edits and all."""
    moved = scripts(old, new)
    for name, label in sorted(_lost(old, new).items()):
        if any(fnmatch(name, pattern) for pattern in old.seeds):
            what = f"an update would delete people's own code (answers {label})"
            yield Problem(name, what, "Keep it: a seed file is never renamed")
        elif not any(f'"{path}"' in moved for path in _with_folders(name)):
            what = f"an update would delete it, and people's edits with it (answers {label})"
            do = "Keep it, or move it in a migration: hooks/README.md"
            yield Problem(name, what, do)


def _with_folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _lost(old: Template, new: Template) -> dict[str, str]:
    """Each file with answers that lose it: whole copies for some, names only for every pair."""
    lost: dict[str, str] = {}
    for label in shapes.of_interest():
        if (stored := answered(old, label)) is not None:
            for name in old.files(stored).keys() - new.files(stored).keys():
                lost.setdefault(name, label)
    for shape in shapes.selection():
        stored = old.stored(shapes.answers(shape))
        before, now = old.context(stored)[0], new.context(stored)[0]
        for name in old.names(before) - new.names(now):
            lost.setdefault(name, shapes.name_of(shape))
    return lost


def owners(old: Template, new: Template) -> Iterator[Problem]:
    """A managed file that becomes a seed file gets no correction any more."""
    before: set[str] = set()
    for shape in shapes.selection():
        before |= old.names(old.context(shapes.answers(shape))[0])
    for name in sorted(before):
        if _seed(name, new) and not _seed(name, old):
            what = f"{name} would be a seed file, and never be updated again"
            yield Problem("copier.yml, _skip_if_exists", what, "Name new files only")


def _seed(name: str, template: Template) -> bool:
    return any(fnmatch(name, pattern) for pattern in template.seeds)


def names(new: Template) -> Iterator[Problem]:
    """What every system can hold, and git does not overlook."""
    found: set[str] = set()
    for shape in shapes.selection():
        here = new.names(new.context(shapes.answers(shape))[0])
        found |= here
        folded = Counter(name.lower() for name in here)
        twice = [name for name in sorted(here) if folded[name.lower()] > 1]
        if twice:
            what = f"{twice[1]} differs from it in capitals only"
            yield Problem(twice[0], what, "Rename one of the two")
            return
    for name in sorted({*found, *new.sources()}):
        if WINDOWS.search(name) or RESERVED.search(name):
            yield Problem(name, "Windows refuses the name", "Take another one")
    for label, shape in shapes.of_interest().items():
        for name in _ignored(new.files(shapes.answers(shape))):
            what = f".gitignore hides it, so an update overwrites it without a word ({label})"
            yield Problem(name, what, "Do not ignore what is rendered")
            return


def _ignored(copy: dict[str, str]) -> list[str]:
    """What git would leave out of a commit of this copy."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in copy.items():
            if Path(name).name == ".gitignore":
                Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
                Path(folder, name).write_text(text, encoding="utf-8")
        return archives.ignored(Path(folder), sorted(copy))


def wrangler(old: Template, new: Template, notes: str) -> Iterator[Problem]:
    """Who gets in and where stands in wrangler.jsonc. A change there that nobody asked for is said
    in the update notes, whatever it is."""
    changed: dict[str, Problem] = {}
    for label in shapes.of_interest():
        if (stored := answered(old, label)) is None:
            continue
        before, now = _settings(old.files(stored)), _settings(new.files(stored))
        for key in sorted(before.keys() | now.keys()):
            name = key.rpartition(".")[2]
            if before.get(key) == now.get(key) or f"`{name}`" in notes:
                continue
            what = (
                f"an update would change {key} from {_shown(before, key)} to {_shown(now, key)} "
                f"(answers {label})"
            )
            do = f"Keep it, or name `{name}` in the update notes"
            changed.setdefault(name, Problem(WRANGLER, what, do))
    yield from changed.values()


def _shown(found: dict[str, Any], key: str) -> str:
    return repr(found[key]) if key in found else "nothing"


def _settings(copy: dict[str, str]) -> dict[str, Any]:
    """Each setting with its path, such as env.staging.vars.ALLOWED_EMAILS."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, WRANGLER).write_text(copy[WRANGLER], encoding="utf-8")
        return dict(_flat(read_jsonc(Path(folder, WRANGLER)), ""))


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield path, value
        return
    for name, inner in value.items():
        yield from _flat(inner, f"{path}.{name}" if path else name)
