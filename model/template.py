"""One version of the template, in a folder: its questions, its answers, its files."""

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from copier import Settings, run_copy
from copier.errors import CopierError
from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2 import Template as Text
from jinja2.sandbox import SandboxedEnvironment
from pathspec import PathSpec

ANSWERS = ".copier-answers.yml"
SUFFIX = ".jinja"

# How Copier stops: a refused answer, a wrong type, a mistake in a template, a file that is missing.
STOPS = (ValueError, TypeError, SyntaxError, OSError, TemplateError, CopierError, yaml.YAMLError)

Answers = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    where: str
    what: str
    do: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.do}"


def one_line(error: object) -> str:
    """What an error says, for `Problem.what`."""
    return re.sub(r"\s+", " ", str(error)).strip().rstrip(".")


class Template:
    """One version. A copier.yml that is not one YAML mapping is a ValueError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        text = (folder / "copier.yml").read_text(encoding="utf-8")
        try:
            config = yaml.safe_load(text)
        except yaml.YAMLError as error:  # two documents and !include too: they hide what is asked
            raise ValueError(one_line(error)) from error
        if not isinstance(config, dict):
            raise ValueError("copier.yml is no mapping")
        self.config: dict[str, Any] = config
        self._compiled: dict[str, Text] = {}
        self._copied: dict[str, dict[str, str]] = {}
        self._contexts: dict[str, tuple[Answers, dict[str, list[Any]]]] = {}

    @property
    def questions(self) -> dict[str, dict[str, Any]]:
        """Those whose answers are stored: not the computed ones."""
        return {n: v for n, v in self._everything.items() if v.get("when") is not False}

    @property
    def _everything(self) -> dict[str, dict[str, Any]]:
        return {name: value for name, value in self.config.items() if not name.startswith("_")}

    @property
    def migrations(self) -> list[Any]:
        return self.config.get("_migrations") or []

    @property
    def seeds(self) -> list[str]:
        return self.config.get("_skip_if_exists") or []

    @property
    def exclude(self) -> list[str]:
        return self.config.get("_exclude") or []

    # --- Evaluated here: a thousand times faster than a copy -------------------------------------

    @cached_property
    def _environment(self) -> SandboxedEnvironment:
        return SandboxedEnvironment(
            loader=FileSystemLoader(self.folder),
            extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
            undefined=StrictUndefined,
        )

    def text(self, source: str, context: Mapping[str, Any]) -> str:
        if source not in self._compiled:
            self._compiled[source] = self._environment.from_string(source)
        return self._compiled[source].render(context)

    def value(self, source: Any, context: Mapping[str, Any]) -> Any:
        return yaml.safe_load(self.text(source, context)) if isinstance(source, str) else source

    def context(self, given: Answers) -> tuple[Answers, dict[str, list[Any]]]:
        """All answers and computed values, with the defaults for what is not given, and what each
        question offers. What is only shown is rendered too: a mistake there stops an update."""
        key = repr(given)
        if key not in self._contexts:
            self._contexts[key] = self._context(given)
        return self._contexts[key]

    def _context(self, given: Answers) -> tuple[Answers, dict[str, list[Any]]]:
        context: Answers = {"_folder_name": "my-api"}
        found: dict[str, list[Any]] = {}
        for name, question in self._everything.items():
            if "choices" in question:
                offered = self.value(question["choices"], context) or {}
                values = offered.values() if isinstance(offered, dict) else offered
                found[name] = [v["value"] if isinstance(v, dict) else v for v in values]
            for shown in ("help", "placeholder", "when", "ask"):
                self.text(str(question.get(shown, "")), context)
            default = question.get("default")
            if question.get("type") == "str" and not question.get("multiselect"):
                default = default if not isinstance(default, str) else self.text(default, context)
            else:
                default = self.value(default, context)
            context[name] = given.get(name, default)
        return context, found

    def applies(self, name: str, context: Answers) -> bool:
        """Whether the question has a meaning for these answers (`when`)."""
        return bool(self.value(str(self.questions[name].get("when", True)), context))

    def stored(self, given: Answers) -> Answers:
        """What a project has in its answers file after these answers."""
        context, _ = self.context(given)
        return {name: context[name] for name in self.questions if self.applies(name, context)}

    def complaint(self, name: str, answer: Any, context: Answers) -> str:
        """What the validator says to an answer; empty when it is good."""
        source = str(self.questions[name].get("validator", ""))
        given = {"_copier_answers": {name: answer}}
        copiers = {**given, "_copier_conf": {"settings": {"defaults": {}}}}
        return self.text(source, {**context, **copiers, name: answer}).strip()

    def names(self, context: Answers) -> set[str]:
        """The paths that a copy with these answers has."""
        known = {**context, "_copier_conf": {"answers_file": ANSWERS}}
        found = {name for name in (self._name(path, known) for path in self._paths) if name}
        return found - self.excluded(found, self.exclude, context, "copy")

    def excluded(
        self, names: set[str], patterns: list[str], context: Answers, operation: str
    ) -> set[str]:
        """Those of `names` that are left out by `patterns`: this version's `_exclude`, or that of
        a later one, by which an update renders this version too. `operation` is Copier's: copy or
        update. The entries may hold Jinja and several patterns, and git's rules for .gitignore
        apply: https://copier.readthedocs.io/en/stable/configuring/#exclude"""
        known = {**context, "_copier_operation": operation}
        lines = [line for entry in patterns for line in self.text(entry, known).splitlines()]
        return set(PathSpec.from_lines("gitignore", lines).match_files(names))

    @cached_property
    def _paths(self) -> list[str]:
        top = self.folder / "template"
        return [p.relative_to(top).as_posix() for p in sorted(top.rglob("*")) if p.is_file()]

    def sources(self) -> set[str]:
        """The paths as they stand in the template."""
        found = (p.relative_to(self.folder) for p in self.folder.rglob("*") if p.is_file())
        return {path.as_posix() for path in found}

    def _name(self, path: str, context: Answers) -> str | None:
        parts = [
            self.text(part, context) if "{" in part else part
            for part in path.removesuffix(SUFFIX).split("/")
        ]
        parts[-1] = parts[-1].removesuffix(SUFFIX)
        return "/".join(parts) if all(parts) else None

    # --- By Copier itself -------------------------------------------------------------------------

    def interview(self, given: Answers, stored: Answers | None = None) -> Answers:
        """What Copier stores after these answers, on top of the stored ones. Like in an update, a
        stored answer that is refused falls back to its default. One of STOPS if that fails."""
        text = self._copy(given, stored, exclude=("*", f"!{ANSWERS}"))[ANSWERS]
        return {n: v for n, v in yaml.safe_load(text).items() if not n.startswith("_")}

    def files(self, given: Answers) -> dict[str, str]:
        """The files of a fresh copy, each made once."""
        key = yaml.safe_dump(given)
        if key not in self._copied:
            self._copied[key] = self._copy(given, None, exclude=())
        return self._copied[key]

    def _copy(
        self, given: Answers, stored: Answers | None, exclude: tuple[str, ...]
    ) -> dict[str, str]:
        """`exclude` comes after the template's own list and does not replace it."""
        with tempfile.TemporaryDirectory() as scratch:
            project = Path(scratch, "my-api")
            project.mkdir()
            if stored is not None:
                (project / ANSWERS).write_text(yaml.safe_dump(stored), encoding="utf-8")
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
            if not (project / ANSWERS).is_file():
                raise ValueError(f"{ANSWERS} is not rendered, and no update works without it")
            return dict(_texts(project))


def _texts(project: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(project.rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            yield path.relative_to(project).as_posix(), text
