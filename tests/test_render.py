"""Issue 2: every shape of the selection renders to files that parse and have nothing left over.

C24 (workflow expressions), C6 (every format is parsed), P8 (wrangler.jsonc is ASCII).
"""

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

import shapes
from conftest import Render
from files import all_files, anchors, links, read_jsonc, texts
from interview import ASKED, COMPUTED

EXPRESSION = re.compile(r"\$\{\{ [\w.\-' |&=!()/]+ \}\}")


def test_every_file_parses(project: Path) -> None:
    """JSON, JSONC, TOML, YAML and Python, by the readers of those formats."""
    for name, path in all_files(project):
        text = path.read_text(encoding="utf-8")
        match path.suffix:
            case ".json":
                json.loads(text)
            case ".jsonc":
                read_jsonc(path)
            case ".toml":
                tomllib.loads(text)
            case ".yml" | ".yaml":
                assert yaml.safe_load(text), name
            case ".py":
                ast.parse(text, filename=name)


def test_configuration_is_ascii(project: Path) -> None:
    """P8: pywrangler reads wrangler.jsonc in the encoding of the locale."""
    for name in ("wrangler.jsonc", "package.json"):
        assert (project / name).read_bytes().isascii(), name


def test_links_and_anchors_resolve(project: Path) -> None:
    """Each relative link leads to a file of this shape, each anchor to a heading."""
    for name, text in texts(project).items():
        if not name.endswith(".md"):
            continue
        for link in links(text):
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme == "https", f"{name}: {link}"
                continue
            target = (project / name).parent / unquote(parts.path) if parts.path else project / name
            assert target.exists(), f"{name}: {link}"
            assert target.resolve().is_relative_to(project.resolve()), f"{name}: {link}"
            if parts.fragment:
                there = anchors(target.read_text(encoding="utf-8"))
                assert unquote(parts.fragment) in there, f"{name}: {link}"


def test_no_template_residue(project: Path) -> None:
    """C24: nothing of Jinja is left, and workflow expressions are whole."""
    for name, text in texts(project).items():
        assert not re.search(r"\.jinja$|[{}%]", name), name
        if name.startswith(".github/"):
            text = EXPRESSION.sub("", text)
        # Two braces alone are no residue: Python's f-strings have them, too.
        left = re.search(r".*(\{\{[\s-]|\{%|%\}|\{#|#\}|pw_).*", text)
        assert not left, f"{name}: {left[0]}"


def test_whitespace(project: Path) -> None:
    """Lines end without spaces, files with one line feed, and no file is empty."""
    for name, path in all_files(project):
        data = path.read_bytes()
        assert data.strip(), f"{name} is empty"
        assert data.endswith(b"\n") and not data.endswith(b"\n\n"), name
        assert b"\r" not in data and not re.search(rb"[ \t]\n", data), name


def test_no_empty_folders(project: Path) -> None:
    """A condition on a file name instead of its folder would leave one."""
    assert [path for path in project.rglob("*") if path.is_dir() and not any(path.iterdir())] == []


def test_answers_file_holds_the_answers(project: Path, shape: shapes.Shape) -> None:
    """C15, C16, C22: it is there, by its default name; computed values are not in it."""
    stored = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert {"_commit", "_src_path"} <= set(stored)
    assert {name for name in stored if not name.startswith("_")} <= set(ASKED)
    assert not set(stored) & set(COMPUTED)
    for name, answer in shapes.answers(shape).items():
        assert stored[name] == answer, name


def test_formatted_and_linted(rendered: Render) -> None:
    """Each project by its own configuration: a later `ruff format` changes nothing."""
    folders = [str(rendered(**shapes.answers(shape))) for shape in shapes.selection()]
    for command in (["format", "--check"], ["check"]):
        done = subprocess.run(
            ["ruff", *command, "--no-cache", *folders], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
