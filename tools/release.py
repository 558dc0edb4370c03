"""Check a release, and make its archive.

    uv run python tools/release.py check [VERSION]
    uv run python tools/release.py make VERSION

`check` compares the working tree with the newest archive in releases/. `make` compares the last
commit, writes its archive, and prints the git commands that are left to a person:
docs/development.md.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

import jinja2
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "model"))  # the answers that are tested are the ones to keep

import archives  # noqa: E402
import compiled  # noqa: E402
from compatible import problems  # noqa: E402
from tags import tags  # noqa: E402
from template import Problem, Template, one_line  # noqa: E402


def section(changelog: str, heading: str) -> str | None:
    """The text under `## heading`, up to the next one."""
    found = re.search(
        rf"^## {re.escape(heading)}( [^\n]*)?$(.*?)(?=^## |\Z)", changelog, re.M | re.S
    )
    return found[2] if found else None


def update_notes(text: str) -> str | None:
    found = re.search(r"^### Update notes$(.*?)(?=^### |\Z)", text, re.M | re.S)
    return found[1].strip() if found else None


def steps(last: str | None) -> list[str]:
    """The versions that may follow."""
    major, minor, micro = Version(last or "v0.0.0").release
    return [f"v{major}.{minor}.{micro + 1}", f"v{major}.{minor + 1}.0", f"v{major + 1}.0.0"]


def check(version: str | None, archive: Path | None = None) -> list[Problem]:
    """All that stands against a release. Without a version, against an update to what is here.
    `archive` is what would be released, if it is made already. ValueError for what is no archive
    and no questionnaire."""
    released = archives.released(ROOT / "releases")
    last = list(released)[-1] if released else None
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    text = section(changelog, version or "Unreleased")
    notes = update_notes(text or "")
    found: list[Problem] = []
    if (ROOT / "copier.yaml").exists():
        found.append(Problem("copier.yaml", "Copier stops when it finds two", "Remove it"))
    if version and version not in steps(last):
        what = f"{version} does not follow {last or 'an empty releases/'}"
        found.append(Problem("version", what, f"Take one of {', '.join(steps(last))}"))
    if version and text is None:
        found.append(Problem("CHANGELOG.md", f"no section {version}", f"Add `## {version}`"))
    elif version and not notes:
        what = f"the section {version} says nothing under `### Update notes`"
        found.append(Problem("CHANGELOG.md", what, "Say what is left to do, or that nothing is"))
    if found:
        return found
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "new")
        taken = archives.unpack(archive, folder) if archive else archives.working_tree(ROOT, folder)
        new = Template(taken)
        before = {
            name: Template(archives.unpack(archive, Path(scratch, name)))
            for name, archive in released.items()
        }
        # The first release is compared with itself: its own rules hold from the start.
        return problems(before or {"v0.0.0": new}, new, notes or "", version)


def make(version: str) -> list[Problem]:
    """What is checked is what is written: the files of the last commit."""
    archive = ROOT / "releases" / f"{version}{archives.SUFFIX}"
    never = "A release is never made anew"
    if archive.exists():
        return [Problem(f"releases/{archive.name}", "it exists", never)]
    if archives.git(ROOT, "tag", "--list", version):
        return [Problem(version, "the tag exists", never)]
    if archives.git(ROOT, "status", "--porcelain", "--untracked-files=all"):
        return [Problem("git status", "there are uncommitted changes", "Commit them first")]
    found = list(tags(ROOT, archives.released(ROOT / "releases")))
    if found:
        return found
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch, archive.name)
        archives.write(ROOT, "HEAD", written)
        found = check(version, written)
        if not found:
            archive.write_bytes(written.read_bytes())
    return found


def main() -> int:
    jinja2.Environment.compile = compiled.once()  # type: ignore[method-assign]
    parser = argparse.ArgumentParser(description="Check a release, and make its archive.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check").add_argument("version", nargs="?")
    commands.add_parser("make").add_argument("version")
    arguments = parser.parse_args()
    run = check if arguments.command == "check" else make
    try:
        found = [str(problem) for problem in run(arguments.version)]
    except ValueError as error:
        found = [f"{one_line(error)}."]
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    if found:
        return 1
    if arguments.command == "make":
        version = arguments.version
        print(f"git add releases/{version}{archives.SUFFIX}")
        print(f'git commit --message "Release {version}"')
        print(f"git tag --annotate {version} --message {version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
