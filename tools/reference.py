"""Write the pages of docs/reference/. Nobody edits them.

    uv run python tools/reference.py            writes all of them
    uv run python tools/reference.py --check    exits with 1 when one is not current
    uv run python tools/reference.py questions  one page only

What they say is read from copier.yml and from projects that are rendered here and now.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "model"))  # what is tested is what the pages show
sys.path.insert(0, str(ROOT / "template" / "vendor" / "private-worker" / "src"))

FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- Made by tools/reference.py: do not edit. -->\n\n"
PAGES = ("questions", "commands", "guard")


def made(name: str) -> str:
    """A page as it should be: what reference_<name>.py says."""
    return f"{MADE}{import_module(f'reference_{name}').page()}"


def is_current(name: str, text: str) -> bool:
    path = FOLDER / f"{name}.md"
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Write the pages of docs/reference/.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if one is old")
    parser.add_argument("page", nargs="*", help=f"of {', '.join(PAGES)}; all without one")
    options = parser.parse_args(words)
    if unknown := set(options.page) - set(PAGES):
        parser.error(f"no page is named {', '.join(sorted(unknown))}")
    status = 0
    for name in options.page or PAGES:
        text = made(name)
        if is_current(name, text):
            continue
        if options.check:
            print(f"docs/reference/{name}.md is not current: uv run python tools/reference.py")
            status = 1
        else:
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / f"{name}.md").write_text(text, encoding="utf-8", newline="\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
