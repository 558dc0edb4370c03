"""The version after this one, made from the working tree: what an update brings in tests."""

from pathlib import Path

NEWS = "news of the next version"
# What the next version changes: a line under the one that names the owner.
CHANGED = (
    ".gitignore.jinja",
    "README.md.jinja",
    "docs/SETUP.md.jinja",
    "pyproject.toml.jinja",
    "src/entry.py.jinja",
    "src/guard/log.py.jinja",
    "src/guard/{% if pw_edge %}settings.py{% endif %}",
    "src/guard/{% if pw_edge %}token.py{% endif %}",
    "tests/kit/runtime.py",
    "wrangler.jsonc.jinja",
)
SEEDS = (
    "src/{% if pw_serves and not pw_fastapi %}api.py{% endif %}.jinja",
    "src/{% if pw_rpc %}internal.py{% endif %}.jinja",
)
COMMENTS = {".md": f"<!-- {NEWS} -->", ".jsonc": f"// {NEWS}"}


def next_version(repository: Path) -> None:
    """A line more in some managed, shared and seed files, and a new file."""
    folder = repository / "template"
    for name in (*CHANGED, *SEEDS):
        file = folder / name
        lines = file.read_text(encoding="utf-8").split("\n")
        owner = next((n for n, line in enumerate(lines) if "private-worker template" in line), 0)
        comment = COMMENTS.get(Path(name.removesuffix(".jinja")).suffix, f"# {NEWS}")
        file.write_text("\n".join([*lines[: owner + 1], comment, *lines[owner + 1 :]]))
    (folder / "docs" / "NEW.md.jinja").write_text(
        "<!-- Managed by the private-worker template: do not edit, an update replaces it. -->\n"
        "\n# New in {{ worker_name }}\n"
    )
