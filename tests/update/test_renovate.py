"""Renovate brings versions of the template, and leaves alone what the template pins.

Two bots that change one line make a conflict out of every update. So each version that a rendered
project names is in one of the rules of renovate.json5, and a dependency of the user's is in none.
"""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import json5
import pytest

import shapes
from conftest import Render
from files import texts
from shapes import Shape

pytestmark = pytest.mark.slow

Rules = list[dict[str, Any]]


@pytest.fixture(scope="module")
def projects(rendered: Render) -> list[tuple[Shape, Path]]:
    """Projects with each kind of callers and each framework, at both hosts of a CI."""
    names = ("production", "internal-rpc", "internal-both-fastapi", "everybody")
    found = [
        {**shapes.of_interest()[name], "ci": ci}
        for name, ci in zip(names, ("github", "gitlab", "github", "gitlab"), strict=True)
    ]
    return [(shape, rendered(**shapes.answers(shape))) for shape in found]


def rules(project: Path) -> Rules:
    text = (project / "renovate.json5").read_text(encoding="utf-8")
    found: Rules = json5.loads(text)["packageRules"]
    return found


def named(found: Rules, setting: str, value: object) -> set[str]:
    """The packages of the rules with this setting."""
    return {
        name
        for rule in found
        if rule.get(setting, "") == value
        for name in rule.get("matchPackageNames", [])
    }


def own_dependencies(project: Path) -> dict[str, str]:
    """What package.json and pyproject.toml ask for, with the versions that they allow. What comes
    from a folder of the project has no version."""
    package = json.loads((project / "package.json").read_text(encoding="utf-8"))
    assert set(package) & {"dependencies", "peerDependencies"} == set()
    python = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [*python["project"]["dependencies"], *sum(python["dependency-groups"].values(), [])]
    asked += python["tool"]["uv"]["constraint-dependencies"]
    split = [re.fullmatch(r"([\w.-]+)(\[\w+\])?(.*)", line) for line in asked]
    wanted = {found[1]: found[3] for found in split if found}
    for name in python["tool"]["uv"]["sources"]:
        assert wanted.pop(name) == ""
    return {**package["devDependencies"], **wanted}


def test_pins_are_the_templates(projects: list[tuple[Shape, Path]]) -> None:
    """Exact versions are switched off, ranges stay as they are, and nobody else is named."""
    for shape, project in projects:
        found = own_dependencies(project)
        exact = {name for name, allowed in found.items() if re.match(r"==|\d", allowed)}
        pinned = named(rules(project), "enabled", False)
        ranges = named(rules(project), "rangeStrategy", "in-range-only")
        assert exact <= pinned, shapes.name_of(shape)
        assert ranges == set(found) - exact, shapes.name_of(shape)
        assert pinned == exact, shapes.name_of(shape)


# What Renovate reads versions from; its answers file is the one that it may change.
PACKAGE_FILE = re.compile(r"(^|/)(package\.json|pyproject\.toml|[\w.-]+\.yml)$")
USERS = {"package.json", "pyproject.toml", ".copier-answers.yml"}


def test_managed_files_are_left_alone(projects: list[tuple[Shape, Path]]) -> None:
    """Actions, images and the callers' packages: an update replaces these files."""
    for shape, project in projects:
        patterns = [
            pattern
            for rule in rules(project)
            if rule.get("enabled") is False and "matchPackageNames" not in rule
            for pattern in rule.get("matchFileNames", [])
        ]
        files = {name for name in texts(project) if PACKAGE_FILE.search(name)} - USERS
        assert files, shapes.name_of(shape)
        for name in files:
            assert any(fnmatch(name, pattern) for pattern in patterns), name
        for pattern in patterns:
            assert any(fnmatch(name, pattern) for name in files), pattern
        assert not [name for name in USERS if any(fnmatch(name, glob) for glob in patterns)]


def test_what_the_project_needs_is_the_templates(projects: list[tuple[Shape, Path]]) -> None:
    for _, project in projects:
        off = [rule for rule in rules(project) if rule.get("matchDepTypes") and "enabled" in rule]
        assert [rule["matchDepTypes"] for rule in off] == [["engines", "requires-python"]]
        assert off[0]["enabled"] is False


def waits(found: dict[str, Any], **update: str) -> str | None:
    """How long an update waits: the last rule that is about it decides, as in Renovate."""
    age: str | None = found["minimumReleaseAge"]
    for rule in found["packageRules"]:
        about = {
            "matchManagers": update["manager"] in rule.get("matchManagers", [update["manager"]]),
            "matchUpdateTypes": update["kind"] in rule.get("matchUpdateTypes", [update["kind"]]),
        }
        if "minimumReleaseAge" in rule and all(about.values()):
            assert {name for name in rule if name.startswith("match")} <= set(about)
            age = rule["minimumReleaseAge"]
    return age


def test_a_release_waits_some_days(projects: list[tuple[Shape, Path]]) -> None:
    """Those with a date only: without one Renovate never takes them for old enough."""
    for _, project in projects:
        found = json5.loads((project / "renovate.json5").read_text(encoding="utf-8"))
        assert found["internalChecksFilter"] == "strict"
        for manager in ("npm", "pep621", "github-actions", "gitlabci"):
            for kind in ("major", "minor", "patch"):
                days = re.fullmatch(r"(\d+) days", waits(found, manager=manager, kind=kind) or "")
                assert days and 3 <= int(days[1]) <= 14
        assert waits(found, manager="copier", kind="minor") is None
        for kind in ("lockFileMaintenance", "lockfileUpdate", "pin", "replacement"):
            assert waits(found, manager="npm", kind=kind) is None


def test_short_addresses_are_translated(projects: list[tuple[Shape, Path]]) -> None:
    """`gh:org/x` and `gh:/org/x` are the same repository for Copier."""
    for _, project in projects:
        (rule,) = [rule for rule in rules(project) if "overridePackageName" in rule]
        call = re.fullmatch(
            r"\{\{\{replace '(.*)' '(.*)' packageName\}\}\}", rule["overridePackageName"]
        )
        assert call and rule["matchManagers"] == ["copier"]
        (pattern,) = rule["matchPackageNames"]
        for address in ("gh:org/private-worker", "gh:/org/private-worker"):
            assert re.search(pattern.strip("/"), address)
            there = re.sub(call[1], call[2], address)
            assert there == "https://github.com/org/private-worker"
        assert not re.search(pattern.strip("/"), "https://github.com/org/private-worker")
