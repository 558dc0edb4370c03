"""The repository itself: a copy runs no code, and nothing of a machine is in it.

C1, C2 (no trust), C4 (no extensions), C5 (paths that every system can hold), C21 (no executable
bits), C22, C26.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import FOLDER, ROOT, Render, git, tracked_files
from files import anchors, links, texts
from questions import ASKED, CONFIG, FREE_TEXT, QUESTIONS
from shapes import PARAMETERS

README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in tracked_files()
    if not name.endswith((".png", ".svg", ".tar.xz"))
}


def test_copy_needs_no_trust(template: Path, tmp_path: Path) -> None:
    """C1: from a clean clone, by the command line, without --trust."""
    project = tmp_path / FOLDER
    command = [sys.executable, "-m", "copier", "copy", "--defaults", str(template), str(project)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (project / "wrangler.jsonc").is_file()
    assert "docs/SETUP.md" in done.stderr, "the message after a copy says what comes next"


def test_nothing_runs_in_a_copy() -> None:
    """C1, C3, C4: what would make Copier ask for trust is not there, nor any other code."""
    for name in ("_tasks", "_jinja_extensions", "_external_data", "_secret_questions"):
        assert name not in CONFIG
    for migration in CONFIG.get("_migrations", []):
        assert "version" in migration, "without a version it asks for trust on every update"
    assert not any(question.get("secret") for question in QUESTIONS.values())


def test_a_copy_starts_nothing_but_git(template: Path, tmp_path: Path) -> None:
    """Watched from outside: Python's own audit events of every process that a copy starts."""
    watch = tmp_path / "watch.py"
    watch.write_text(
        "import sys\n"
        "def hook(event, arguments):\n"
        "    if event in ('subprocess.Popen', 'os.system', 'os.exec', 'os.posix_spawn'):\n"
        "        print('STARTED', arguments[0], file=sys.stderr)\n"
        "sys.addaudithook(hook)\n"
        "from copier import run_copy\n"
        "run_copy(sys.argv[1], sys.argv[2], defaults=True, quiet=True, unsafe=False)\n"
    )
    command = [sys.executable, str(watch), str(template), str(tmp_path / FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    started = set(re.findall(r"STARTED (.*)", done.stderr))
    names = {Path(program).name for program in started}
    assert "git" in names and names <= {"git", "uname"}, (
        names
    )  # uname: Python's own platform module


def test_defaults_of_every_profile(render: Render, tmp_path: Path) -> None:
    """C7: every default passes its own validator. Given as answers, they are validated."""
    for profile in PARAMETERS["profile"]:
        first = render(tmp_path / profile / FOLDER, profile=profile)
        stored = yaml.safe_load((first / ".copier-answers.yml").read_text())
        answers = {name: value for name, value in stored.items() if name in ASKED}
        again = render(tmp_path / f"{profile} again" / FOLDER, **answers)
        assert texts(again) == texts(first)


def test_paths_work_everywhere() -> None:
    """C5: no character that Windows refuses, no name it keeps for itself, nothing too long."""
    reserved = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10))}
    for name in TEXTS:
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]', name), name
        assert len(name) < 160, name
        for part in name.split("/"):
            assert part == part.rstrip(". ") and part.split(".")[0].lower() not in reserved, name
    folded = [name.lower() for name in TEXTS]
    assert len(folded) == len(set(folded)), "names that differ in case only"


def test_modes() -> None:
    """C21: no symbolic links, and no executable in the template: scripts run as `python x.py`."""
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
        if name == "tests/test_repository.py":
            continue
        found = private.search(text)
        assert not found, f"{name}: {found[0]}"


def test_no_lock_files() -> None:
    """They would hold the addresses of registries, and in the template conflict on update."""
    names = {Path(name).name for name in TEXTS}
    assert not names & {"uv.lock", "package-lock.json", "requirements.txt"}


def test_template_files_have_suffixes_where_tools_look() -> None:
    """Files that git, ruff or uv would read inside the template's own tree."""
    live = {".gitignore", ".gitattributes", "pyproject.toml", "ruff.toml", "package.json"}
    inside = {Path(name).name for name in TEXTS if name.startswith("template/")}
    assert not inside & live


def test_answers_file_is_the_default_one() -> None:
    """C15, C16."""
    assert "_answers_file" not in CONFIG
    assert "template/{{ _copier_conf.answers_file }}.jinja" in TEXTS


def test_nothing_volatile_is_rendered() -> None:
    """C9: during an update these are other values than during the copy."""
    volatile = re.compile(r"dst_path|src_path|_folder_name|strftime|now\(\)|random|vcs_ref")
    for name, text in TEXTS.items():
        if name.startswith("template/") and name.endswith(".jinja"):
            tags = re.findall(r"\{[{%].*?[%}]\}", text, re.DOTALL)
            assert not [tag for tag in tags if volatile.search(tag)], name


def test_free_text_is_always_escaped() -> None:
    """C6: prose reaches a file only through to_json or the Markdown macros."""
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
    """Typed choices, multiselect defaults as lists (C8)."""
    for name, question in QUESTIONS.items():
        assert question["type"] in {"str", "bool", "json"}, name
        if question.get("multiselect"):
            assert "to_json" in question["default"], name
    assert "allowed_emails" in FREE_TEXT


def test_links_of_the_documentation() -> None:
    """Links between the repository's own Markdown files, anchors included."""
    for name, text in TEXTS.items():
        if not name.endswith(".md") or name.startswith("template/"):
            continue
        for link in links(text):
            path, _, anchor = link.partition("#")
            if "://" in path or path.startswith("mailto:"):
                continue
            target = (ROOT / name).parent / path if path else ROOT / name
            assert target.exists(), f"{name}: {link}"
            if anchor:
                assert anchor in anchors(target.read_text(encoding="utf-8")), f"{name}: {link}"


def readme_commands() -> tuple[str, str]:
    """The first two shell blocks under "Try it from a clone"."""
    section = README.split("## Try it from a clone", 1)[1].split("\n## ")[0]
    first, second = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[:2]
    return first, second


def test_readme_commands_say_what_they_do() -> None:
    """C2: no trust, no question, and the second one is the tests."""
    first, second = readme_commands()
    assert "copier copy" in first and "--defaults" in first
    assert "trust" not in README.replace("never asks for `--trust`", "")
    assert second.strip().endswith("pytest")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the README's commands are for a POSIX shell")
def test_readme_renders_from_a_clean_clone(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C2: the first command, in a clone without tags, with nothing but Python, pip and git."""
    clone = tmp_path / "private-worker"
    git(tmp_path, "clone", "--no-tags", str(template), str(clone))
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
