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


def paths(old: Template, new: Template, notes: str) -> Iterator[Problem]:
    """A file that the new version does not render is deleted by an update, edits and all. A
    managed one may go if the update notes say so; of a folder that is gone, one line is enough."""
    moved = scripts(old, new)
    here = everything(new)
    files: dict[str, list[str]] = {}
    answers: dict[str, str] = {}
    for name, label in sorted(_lost(old, new).items()):
        if seed(name, old):
            what = f"an update would delete people's own code (answers {label})"
            yield Problem(name, what, "Keep it: a seed file is never renamed")
        elif not withdrawn(name, notes, here) and not any(f'"{at}"' in moved for at in _up(name)):
            where = next(iter(_gone(name, here)), name)
            files.setdefault(where, []).append(name)
            answers.setdefault(where, label)
    for where, names in files.items():
        what = "it" if names == [where] else f"its {len(names)} files"
        do = f"Keep it, name `{where}` in the update notes, or move it in a migration"
        yield Problem(
            where,
            f"an update would delete {what}, and people's edits with it (answers {answers[where]})",
            f"{do}: hooks/README.md",
        )


def withdrawn(name: str, notes: str, here: set[str]) -> bool:
    """Whether the update notes name a managed file, or a folder of it from which all is gone.
    `here` is what the new version has: a folder that it still has is named for other reasons."""
    return any(f"`{path}`" in notes for path in (name, *_gone(name, here)))


def _gone(name: str, here: set[str]) -> list[str]:
    """Its folders that the new version has not, the topmost first."""
    folders = [f"{folder}/" for folder in _up(name)[:-1]]
    return [folder for folder in folders if not any(path.startswith(folder) for path in here)]


def _up(name: str) -> list[str]:
    """The folders that it is in, and itself."""
    parts = name.split("/")
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _lost(old: Template, new: Template) -> dict[str, str]:
    """Each file that an update deletes, with answers that lose it."""
    lost: dict[str, str] = {}
    for label, shape in labelled():
        stored = old.stored(shapes.answers(shape))
        before, now = old.context(stored)[0], new.context(stored)[0]
        names = old.names(before) - new.names(now)
        for name in names - old.excluded(names, new.exclude, before, "update"):
            lost.setdefault(name, label)
    return lost


def labelled() -> Iterator[tuple[str, shapes.Shape]]:
    """The shapes that are looked at, with names for people."""
    yield from shapes.of_interest().items()
    yield from ((shapes.name_of(shape), shape) for shape in shapes.selection())


def everything(template: Template) -> set[str]:
    """Every path that some project has."""
    contexts = (template.context(shapes.answers(shape))[0] for shape in shapes.selection())
    return set().union(*map(template.names, contexts))


def owners(old: Template, new: Template, notes: str) -> Iterator[Problem]:
    """A managed file that becomes a seed file gets no correction any more."""
    for name in sorted(everything(old)):
        if seed(name, new) and not seed(name, old) and f"`{name}`" not in notes:
            what = f"{name} would be a seed file, and never be updated again"
            do = f"Name new files only, or name `{name}` in the update notes"
            yield Problem("copier.yml, _skip_if_exists", what, do)


def seed(name: str, template: Template) -> bool:
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
