"""The version after this one, made from the working tree: what an update brings in tests."""

import hashlib
from pathlib import Path

NEWS = "news of the next version"
MANAGED = "private-worker template"  # a managed file says so in one of its first lines
VENDOR = "vendor/private-worker"
# What the next version changes: a line under the one that names the owner.
CHANGED = (
    ".gitignore.jinja",
    "README.md.jinja",
    "docs/SETUP.md.jinja",
    "pyproject.toml.jinja",
    "src/entry.py.jinja",
    "src/guard/log.py.jinja",
    "src/guard/settings.py",
    "src/guard/token.py",
    "tests/test_doors.py",
    f"{VENDOR}/src/private_worker/project.py",
    "wrangler.jsonc.jinja",
)
SEEDS = ("src/api.py.jinja", "src/events.py", "src/internal.py.jinja", "tests/conftest.py")
COMMENTS = {".md": f"<!-- {NEWS} -->", ".jsonc": f"// {NEWS}"}


def next_version(repository: Path) -> None:
    """A line more in some managed, shared and seed files, and a new file."""
    folder = repository / "template"
    for name in (*CHANGED, *SEEDS):
        file = folder / name
        lines = file.read_text(encoding="utf-8").split("\n")
        owner = next((n for n, line in enumerate(lines) if MANAGED in line), 0)
        comment = COMMENTS.get(Path(name.removesuffix(".jinja")).suffix, f"# {NEWS}")
        file.write_text("\n".join([*lines[: owner + 1], comment, *lines[owner + 1 :]]))
    (folder / "docs" / "NEW.md.jinja").write_text(
        f"<!-- Managed by the {MANAGED}: do not edit, an update replaces it. -->\n"
        "\n# New in {{ worker_name }}\n"
    )
    _manifest(folder)


def next_tools(repository: Path) -> None:
    """Other tools, and nothing else."""
    folder = repository / "template"
    with (folder / VENDOR / "src" / "private_worker" / "cli.py").open("a") as file:
        file.write(f"# {NEWS}\n")
    _manifest(folder)


def _manifest(folder: Path) -> None:
    """The hashes of the files that are the same in every project, as they are now."""
    manifest = folder / VENDOR / "manifest.sha256"
    names = [line.split("  ", 1)[1] for line in manifest.read_text("utf-8").splitlines()]
    here = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in here.items()]
    manifest.write_text("".join(lines), encoding="utf-8")
