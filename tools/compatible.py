"""What would break `copier update` between two versions of the template.

The questionnaires are compared as they are written. What their rules mean for real answers is left
to Copier itself: it replays what people may have answered, without rendering a file.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from copier import Settings, run_copy
from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment
from packaging.version import Version

import hostile
import shapes

ANSWERS = ".copier-answers.yml"
# Copier asks for trust because of these, for ever after the first release that has one.
NEEDS_TRUST = ("_tasks", "_jinja_extensions", "_external_data")

# How Copier stops: a refused answer, a wrong type, a mistake in a template.
STOPS = (ValueError, TypeError, TemplateError)

Answers = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    where: str
    what: str
    do: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.do}"


class Template:
    """One version of the template, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, Any] = yaml.safe_load(
            (folder / "copier.yml").read_text(encoding="utf-8")
        )

    @property
    def questions(self) -> dict[str, dict[str, Any]]:
        """Those whose answers are stored: not the computed ones."""
        return {
            name: value
            for name, value in self.config.items()
            if not name.startswith("_") and value.get("when") is not False
        }

    @property
    def migrations(self) -> list[Any]:
        return self.config.get("_migrations") or []

    @property
    def seeds(self) -> list[str]:
        return self.config.get("_skip_if_exists") or []

    @cached_property
    def _environment(self) -> SandboxedEnvironment:
        return SandboxedEnvironment(
            loader=FileSystemLoader(self.folder),
            extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
            undefined=StrictUndefined,
        )

    def _value(self, source: Any, context: Answers, plain: bool = False) -> Any:
        if not isinstance(source, str):
            return source
        text = self._environment.from_string(source).render(context)
        return text if plain else yaml.safe_load(text)

    def choices(self, given: Answers) -> dict[str, list[Any]]:
        """What each question offers, with the defaults for what is not given."""
        context: Answers = {"_folder_name": "my-api"}
        found: dict[str, list[Any]] = {}
        for name, question in self.config.items():
            if name.startswith("_"):
                continue
            if "choices" in question:
                offered = self._value(question["choices"], context) or {}
                values = offered.values() if isinstance(offered, dict) else offered
                found[name] = [v["value"] if isinstance(v, dict) else v for v in values]
            plain = question.get("type") == "str" and not question.get("multiselect")
            default = self._value(question.get("default"), context, plain)
            context[name] = given.get(name, default)
        return found

    def interview(self, given: Answers, stored: Path | None = None) -> Answers:
        """What Copier stores after these answers, on top of the stored ones. Like in an update, a
        stored answer that is refused falls back to its default. ValueError if that fails."""
        return self._copy(given, stored, exclude=("*", f"!{ANSWERS}"))[0]

    def files(self, given: Answers, stored: Path | None = None) -> set[str]:
        """The paths of a fresh copy."""
        return self._copy(given, stored, exclude=())[1]

    def _copy(
        self, given: Answers, stored: Path | None, exclude: tuple[str, ...]
    ) -> tuple[Answers, set[str]]:
        with tempfile.TemporaryDirectory() as scratch:
            project = Path(scratch, "my-api")
            project.mkdir()
            if stored:
                shutil.copy(stored, project / ANSWERS)
            run_copy(
                str(self.folder),
                project,
                data=given,
                exclude=exclude,
                defaults=True,
                overwrite=True,
                quiet=True,
                settings=Settings(),  # not those of whoever checks
                unsafe=True,  # a task is reported in its own words; here none runs
                skip_tasks=True,
            )
            answers = yaml.safe_load((project / ANSWERS).read_text(encoding="utf-8"))
            names = {
                path.relative_to(project).as_posix()
                for path in project.rglob("*")
                if path.is_file()
            }
        return {n: v for n, v in answers.items() if not n.startswith("_")}, names - {ANSWERS}


def corpus() -> dict[str, Answers]:
    """Answers that people may have given: each profile with its defaults, the shapes that are
    tested, and every accepted sample of every free text."""
    found = {f"profile {name}": {"profile": name} for name in shapes.PARAMETERS["profile"]}
    found |= {name: shapes.answers(shape) for name, shape in shapes.of_interest().items()}
    everybody = found["everybody"] | {"worker_name": "other"}
    for number in range(max(map(len, hostile.GOOD.values()))):
        samples = {name: texts[number % len(texts)] for name, texts in hostile.GOOD.items()}
        samples["zone_name"] = "example.com"  # that of the route patterns
        path = samples["route_pattern"].partition("/")[2]
        samples["staging_route_pattern"] = f"staging.example.com/{path}"
        found[f"samples {number + 1}"] = everybody | samples
        if number < len(hostile.GOOD["route_pattern"]):
            found[f"route {number + 1}"] = everybody | samples | {"exposure": "route"}
    return found


def problems(
    old: Template, new: Template, last: str, notes: str, version: str | None = None
) -> list[Problem]:
    """All that an update from `old`, released as `last`, would stumble over. `notes` are the
    update notes: an answer that they name may fall back to its default. `version` is that of
    `new`, if it has one already."""
    written = [*trust(new), *questionnaire(old, new), *seeds(old, new), *choices(old, new)]
    # Copier takes longer, and would say the same in other words.
    return written or list(replayed(old, new, notes)) or list(paths(old, new, last, version))


def trust(new: Template) -> Iterator[Problem]:
    where = "copier.yml"
    for name in NEEDS_TRUST:
        if new.config.get(name):
            yield Problem(where, f"{name} would ask for --trust on every copy", "Remove it")
    for migration in new.migrations:
        if not isinstance(migration, dict) or "version" not in migration:
            what = "a migration without `version:` would ask for --trust on every update"
            yield Problem(where, what, "Give it the version of the release that needs it")


def questionnaire(old: Template, new: Template) -> Iterator[Problem]:
    for name in old.questions:
        if name not in new.questions:
            yield Problem(f"copier.yml, {name}", "the question is gone", "Put it back")
    for name, question in new.questions.items():
        if name not in old.questions and "default" not in question:
            do = "Give it one that renders what was rendered before"
            yield Problem(f"copier.yml, {name}", "the new question has no default", do)


def seeds(old: Template, new: Template) -> Iterator[Problem]:
    for name in old.seeds:
        if name not in new.seeds:
            what = f"{name} is no seed file any more, so an update would change people's own code"
            yield Problem("copier.yml, _skip_if_exists", what, "Put it back")


def choices(old: Template, new: Template) -> Iterator[Problem]:
    lost: dict[tuple[str, Any], Answers] = {}
    for shape in shapes.selection():
        given = shapes.answers(shape)
        try:
            before, now = old.choices(given), new.choices(given)
        except STOPS as error:
            yield Problem("copier.yml", _line(error), "Choices are made of earlier answers only")
            return
        for name in before.keys() & new.questions.keys():
            for value in before[name]:
                if name in now and value not in now[name]:
                    lost.setdefault((name, value), given)
    for (name, value), given in lost.items():
        what = f"the choice {value!r} is gone (profile {given['profile']})"
        yield Problem(f"copier.yml, {name}", what, "Put it back: people have answered it")


@cache
def _answered(old: Template, name: str) -> Answers | None:
    """What the old version stored, or None if it refused."""
    try:
        return old.interview(corpus()[name])
    except ValueError:
        return None


@cache
def _rendered(old: Template, name: str) -> set[str]:
    return old.files(corpus()[name])


def replayed(old: Template, new: Template, notes: str) -> Iterator[Problem]:
    """Old answers meet the new version, and the new version is copied with its own defaults."""
    found: dict[str, Problem] = {}
    accepted = 0
    for label, given in corpus().items():
        before = _answered(old, label)
        if label.startswith("profile "):
            try:
                new.interview(given)
            except STOPS as error:
                do = "Give a default that passes its own validator"
                found.setdefault(str(error), Problem(f"copier.yml, {label}", _line(error), do))
        if before is None:
            continue
        accepted += 1
        with tempfile.TemporaryDirectory() as scratch:
            stored = Path(scratch, ANSWERS)
            stored.write_text(yaml.safe_dump(before), encoding="utf-8")
            try:
                now = new.interview({}, stored)
            except STOPS as error:
                do = "Accept what the last release accepted, or give a default that passes"
                found.setdefault(
                    str(error), Problem(f"copier.yml, answers {label}", _line(error), do)
                )
                continue
        for name in before.keys() & now.keys():
            if now[name] != before[name] and f"`{name}`" not in notes:
                what = f"an update would turn {before[name]!r} into {now[name]!r} without a word"
                do = f"Keep accepting it, or name `{name}` in the update notes"
                found.setdefault(name, Problem(f"copier.yml, {name}", what, do))
    if not accepted:
        do = "Look at tests/shapes.py and tests/hostile.py"
        yield Problem("the stored answers", "the last release accepted none of them", do)
    yield from found.values()


def _line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip().rstrip(".")


def paths(old: Template, new: Template, last: str, version: str | None) -> Iterator[Problem]:
    """A file that the new version does not render is deleted by an update, edits and all."""
    versions = [Version(str(migration["version"])) for migration in new.migrations]
    if any(Version(last) < found <= Version(version or str(found)) for found in versions):
        return
    lost: dict[str, str] = {}
    for label in shapes.of_interest():
        before = _answered(old, label)
        if before is None:
            continue
        for name in _rendered(old, label) - new.files(before):
            lost.setdefault(name, label)
    for name, label in sorted(lost.items()):
        what = f"an update would delete it, and people's edits with it (answers {label})"
        do = f"Keep it, or add a migration with a version above {last}: hooks/README.md"
        yield Problem(name, what, do)
