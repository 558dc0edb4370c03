"""Render the examples: what the template makes, as plain files, so that a change of it can be read.

    uv run python tools/examples.py

Each folder of examples/ is one project without vendor/, which is the same in every project.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import jinja2
from copier import Settings, run_copy

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "model"))

import archives  # noqa: E402
import compiled  # noqa: E402
import shapes  # noqa: E402
from template import ANSWERS  # noqa: E402

EXAMPLES = ROOT / "examples"
# The simplest project, and one that has as many files as a project can have.
PROJECTS: dict[str, dict[str, Any]] = {
    "personal": {"profile": "personal"},
    "everything": {**shapes.answers(shapes.of_interest()["everybody"]), "ci": "github"},
}


def render(folder: Path, answers: dict[str, Any]) -> None:
    """What is here now, committed or not, as `copier copy` renders it, without vendor/ and the
    template's address."""
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch, "my-api")
        run_copy(
            str(archives.working_tree(ROOT, Path(scratch, "template"))),
            project,
            data=answers,
            exclude=["/vendor"],
            defaults=True,
            quiet=True,
            settings=Settings(),  # not those of whoever runs this
        )
        stored = (project / ANSWERS).read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in stored if not line.startswith("_src_path:")]
        (project / ANSWERS).write_text("".join(kept), encoding="utf-8")
        shutil.copytree(project, folder)


def main() -> int:
    jinja2.Environment.compile = compiled.once()  # type: ignore[method-assign]
    shutil.rmtree(EXAMPLES, ignore_errors=True)
    for name, answers in PROJECTS.items():
        render(EXAMPLES / name, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
