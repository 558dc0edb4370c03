"""The repository itself: a copy runs no code, every system can hold its paths, nothing of a machine
is in it, and its own workflow is pinned."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import FOLDER, ROOT, Render, git, snapshot, tracked_files
from files import anchors, links, texts
from questions import ASKED, CONFIG, FREE_TEXT, QUESTIONS
from shapes import PARAMETERS

README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in tracked_files()
    if not name.endswith((".png", ".svg", ".tar.xz"))
}


def test_a_copy_needs_no_trust_and_starts_nothing_but_git(template: Path, tmp_path: Path) -> None:
    """By the command line, watched by Python's own audit events of every process that it starts."""
    watch = tmp_path / "watch.py"
    watch.write_text(
        "import runpy, sys\n"
        "def hook(event, arguments):\n"
        "    if event in ('subprocess.Popen', 'os.system', 'os.exec', 'os.posix_spawn'):\n"
        "        print('STARTED', arguments[0], file=sys.stderr)\n"
        "sys.addaudithook(hook)\n"
        "runpy.run_module('copier', run_name='__main__')\n"
    )
    project = tmp_path / FOLDER
    words = ["copy", "--defaults", str(template), str(project)]
    done = subprocess.run([sys.executable, str(watch), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (project / "wrangler.jsonc").is_file()
    assert "docs/SETUP.md" in done.stderr, "the message after a copy says what comes next"
    names = {Path(program).stem for program in re.findall(r"STARTED (.*)", done.stderr)}
    # uname, and cmd on Windows: Python's own module platform
    assert "git" in names and names <= {"git", "uname", "cmd"}, names


def test_nothing_runs_in_a_copy() -> None:
    """What would make Copier ask for trust is not there, nor any other code."""
    for name in ("_tasks", "_jinja_extensions", "_external_data", "_secret_questions"):
        assert name not in CONFIG
    for migration in CONFIG.get("_migrations", []):
        assert "version" in migration, "without a version it asks for trust on every update"
    assert not any(question.get("secret") for question in QUESTIONS.values())


@pytest.mark.slow
def test_defaults_of_every_profile(render: Render, tmp_path: Path) -> None:
    """Every default passes its own validator. Given as answers, they are validated."""
    for profile in PARAMETERS["profile"]:
        first = render(tmp_path / profile / FOLDER, profile=profile)
        stored = yaml.safe_load((first / ".copier-answers.yml").read_text())
        answers = {name: value for name, value in stored.items() if name in ASKED}
        again = render(tmp_path / f"{profile} again" / FOLDER, **answers)
        assert texts(again) == texts(first)


def test_paths_work_everywhere() -> None:
    """No character that Windows refuses, no name it keeps for itself, nothing too long."""
    reserved = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10))}
    for name in TEXTS:
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]', name), name
        assert len(name) < 160, name
        for part in name.split("/"):
            assert part == part.rstrip(". ") and part.split(".")[0].lower() not in reserved, name
    folded = [name.lower() for name in TEXTS]
    assert len(folded) == len(set(folded)), "names that differ in case only"


def test_modes() -> None:
    """No symbolic links, and no executable in the template: scripts run as `python x.py`."""
    for name in tracked_files():
        assert not (ROOT / name).is_symlink(), name
        if name.startswith("template/"):
            assert not os.access(ROOT / name, os.X_OK) or os.name == "nt", name


def test_nothing_of_a_machine() -> None:
    """No path of somebody's machine, no package registry, no mirror."""
    private = re.compile(
        r"(/home/\w|/Users/\w|/work/|/root/|/tmp/\w|[A-Z]:\\Users"
        r"|pypi\.org|pythonhosted|registry\.npmjs|\blocalhost:\d{4}/simple)"
    )
    for name, text in TEXTS.items():
        if name in ("tests/test_repository.py", LOCK, *PYLOCKS):
            continue
        found = private.search(text.replace(UV_AT_PYPI, ""))
        assert not found, f"{name}: {found[0]}"


# GitLab's jobs hold it against a hash, as a lock file does.
UV_AT_PYPI = "https://files.pythonhosted.org/packages/py3/u/uv/${uv##* }"
LOCK = "uv.lock"  # of the template's own tools
PYLOCKS = [name for name in TEXTS if Path(name).name in ("pylock.toml", "pylock.toml.jinja")]


def test_no_other_lock_files() -> None:
    """In the template they would hold the addresses of registries, and conflict on update. A
    pylock.toml has no other registry than the public one and is left alone by an update."""
    locks = {name for name in TEXTS if Path(name).name in (LOCK, "package-lock.json")}
    assert locks <= {LOCK}


def test_the_lock_files_name_the_public_registry() -> None:
    text = "".join(TEXTS.get(name, "") for name in (LOCK, *PYLOCKS))
    hosts = set(re.findall(r"https?://([^/\"]+)", text))
    assert hosts <= {"pypi.org", "files.pythonhosted.org"}


def test_template_files_have_suffixes_where_tools_look() -> None:
    """Files that git, ruff or uv would read inside the template's own tree."""
    live = {".gitignore", ".gitattributes", "pyproject.toml", "ruff.toml", "package.json"}
    vendor = "template/vendor/"  # a package as it is, linted and tested in its place
    paths = [name for name in TEXTS if name.startswith("template/") and not name.startswith(vendor)]
    assert not {Path(name).name for name in paths} & live


def test_answers_file_is_the_default_one() -> None:
    """Copier and Renovate look for it under this name."""
    assert "_answers_file" not in CONFIG
    assert "template/{{ _copier_conf.answers_file }}.jinja" in TEXTS


def test_nothing_volatile_is_rendered() -> None:
    """During an update these are other values than during the copy."""
    volatile = re.compile(r"dst_path|src_path|_folder_name|strftime|now\(\)|random|vcs_ref")
    for name, text in TEXTS.items():
        if name.startswith("template/") and name.endswith(".jinja"):
            tags = re.findall(r"\{[{%].*?[%}]\}", text, re.DOTALL)
            assert not [tag for tag in tags if volatile.search(tag)], name


def test_free_text_is_always_escaped() -> None:
    """Prose reaches a file only through to_json or the Markdown macros."""
    for name, text in TEXTS.items():
        if not name.startswith("template/") or not name.endswith(".jinja"):
            continue
        for tag in re.findall(r"\{\{.*?\}\}", text):
            if re.search(r"\b(project_name|description)\b", tag):
                assert "to_json" in tag or "md" in tag or "markdown" in tag, f"{name}: {tag}"


def test_regular_expressions_are_anchored() -> None:
    r"""`$` lets a trailing line feed through; a single backslash is an error in Jinja."""
    checks = TEXTS["includes/checks.jinja"]
    patterns = re.findall(r"regex_search\((.*?)\)(?: |$|%)", checks, re.MULTILINE)
    assert patterns
    for pattern in patterns:
        assert "$'" not in pattern


def test_every_question_is_in_a_known_group() -> None:
    """Typed choices, multiselect defaults as lists."""
    for name, question in QUESTIONS.items():
        assert question["type"] in {"str", "bool", "json"}, name
        if question.get("multiselect"):
            assert "to_json" in question["default"], name
    assert "allowed_emails" in FREE_TEXT


@cache
def anchors_of(path: Path) -> set[str]:
    return anchors(path.read_text(encoding="utf-8"))


def test_links_of_the_documentation() -> None:
    """Links between the repository's own Markdown files, anchors included."""
    for name, text in TEXTS.items():
        if not name.endswith(".md") or name.startswith(("template/", "examples/")):
            continue
        for link in links(text):
            path, _, anchor = link.partition("#")
            if "://" in path or path.startswith("mailto:"):
                continue
            target = (ROOT / name).parent / path if path else ROOT / name
            assert target.exists(), f"{name}: {link}"
            if anchor:
                assert anchor in anchors_of(target), f"{name}: {link}"


def readme_commands() -> tuple[str, str]:
    """The first two shell blocks under "Try it from a clone"."""
    section = README.split("## Try it from a clone", 1)[1].split("\n## ")[0]
    first, second = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[:2]
    return first, second


def test_readme_commands_say_what_they_do() -> None:
    """No trust, no question, and the second one is the tests."""
    first, second = readme_commands()
    assert "copier copy" in first and "--defaults" in first
    assert "trust" not in README.replace("never asks for `--trust`", "")
    assert second.strip().endswith("pytest")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the README's commands are for a POSIX shell")
def test_readme_renders_from_a_clean_clone(
    tmp_path: Path, default_gitconfig: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first command, in a clone without tags, with nothing but Python, pip and git."""
    whole, clone = snapshot(tmp_path / "whole", "v999.0.0"), tmp_path / "private-worker"
    git(tmp_path, "clone", "--no-tags", str(whole), str(clone))
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    clean: dict[str, Any] = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("UV_", "VIRTUAL_ENV", "PYTHON"))
    }
    tools = tmp_path / "bin"  # python, pip and git; uv comes from the command itself
    tools.mkdir()
    (tools / "python3.11").symlink_to(Path(sys.executable).resolve())
    # git's own scripts need the last ones
    for name in ("git", "sh", "bash", "env", "uname", "basename", "dirname", "sed", "cat", "rm"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    clean["PATH"] = os.pathsep.join([str(tmp_path / "venv" / "bin"), str(tools)])
    first, _ = readme_commands()
    shell = ["bash", "-euc", first]
    done = subprocess.run(shell, cwd=clone, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "my-api" / "wrangler.jsonc").is_file()
    assert git(clone, "status", "--porcelain", "--", "template", "copier.yml") == ""


# --- For contributors -----------------------------------------------------------------------------

WORKFLOW = TEXTS[".github/workflows/test.yml"]


def pins(text: str) -> set[str]:
    """Each action with its commit and the comment that names its version; uv's version."""
    actions = re.findall(r"uses: (\S+@[0-9a-f]{40} # v\S+)", text)
    assert len(actions) == text.count("uses: ")
    return {*actions, *re.findall(r"UV_VERSION: \S+", text)}


def test_the_workflow_pins_what_projects_pin() -> None:
    """One list of commits to look after; without rights beyond reading the code."""
    assert pins(WORKFLOW) <= pins(TEXTS["template/.github/workflows/ci.yml.jinja"])
    workflow = yaml.safe_load(WORKFLOW)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert job["timeout-minutes"] < 60
    assert WORKFLOW.count("persist-credentials: false") == WORKFLOW.count("actions/checkout@")


def test_the_workflow_runs_quick_tests_on_every_system_and_all_on_one() -> None:
    jobs = yaml.safe_load(WORKFLOW)["jobs"]
    systems = {system.split("-")[0] for system in jobs["quick"]["strategy"]["matrix"]["os"]}
    assert systems == {"ubuntu", "macos", "windows"}
    commands = {name: [step.get("run") for step in job["steps"]] for name, job in jobs.items()}
    assert "uv run pytest" in commands["quick"] and ".ci/run" in commands["everything"]


def test_hooks_are_pinned() -> None:
    config = yaml.safe_load(TEXTS[".pre-commit-config.yaml"])
    for repository in config["repos"]:
        if repository["repo"] != "local":
            assert re.fullmatch(r"[0-9a-f]{40}", repository["rev"]), repository["repo"]
