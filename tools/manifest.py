"""Write down what the managed files are, so that `check` in a project notices an edited one.

    uv run python tools/manifest.py

Files that are the same in every project are listed with their hashes in MANIFEST. Those with
answers in them are hashed by Jinja as they are rendered; their names stand in RENDERED, in a list.
A seed file, and one that the owner shares with the template, is in neither.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "template"
MANIFEST = TEMPLATE / "vendor" / "private-worker" / "manifest.sha256"
RENDERED = TEMPLATE / ".private-worker.toml.jinja"
HEADER = "Managed by the private-worker template"
# JSON has no comments, so these cannot say whose they are.
NO_HEADER = (
    "callers/worker-python/package.json",
    "callers/worker-typescript/package.json",
    "callers/worker-typescript/tsconfig.json",
)


def managed() -> list[str]:
    """The paths in template/ of the files that their owner does not edit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "."],
        cwd=TEMPLATE,
        capture_output=True,
        check=True,
        text=True,
    )
    names = {name for name in listed.stdout.split("\0") if name and (TEMPLATE / name).is_file()}
    itself = {path.relative_to(TEMPLATE).as_posix() for path in (MANIFEST, RENDERED)}
    return sorted(name for name in names - itself if _is_managed(name))


def _is_managed(name: str) -> bool:
    if name.startswith("vendor/") or name.removesuffix(".jinja") in NO_HEADER:
        return True
    beginning = (TEMPLATE / name).read_text(encoding="utf-8").split("\n")[:50]
    return any(HEADER in line for line in beginning)


def manifest() -> str:
    """The text of MANIFEST, in the form of sha256sum."""
    lines = [
        f"{hashlib.sha256((TEMPLATE / name).read_bytes()).hexdigest()}  {name}\n"
        for name in managed()
        if not name.endswith(".jinja")
    ]
    return "".join(lines)


def rendered() -> str:
    """The text of RENDERED, with the list of names made anew."""
    names = [name.removesuffix(".jinja") for name in managed() if name.endswith(".jinja")]
    listed = "".join(f"  {name!r},\n".replace("'", '"') for name in names)
    text = RENDERED.read_text(encoding="utf-8")
    return re.sub(r"(?<=set names = \[\n)[^\]]*(?=\])", lambda _: listed, text)


def main() -> int:
    RENDERED.write_text(rendered(), encoding="utf-8")
    MANIFEST.write_text(manifest(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
