"""Write docs/pictures/interview.svg: the interview in a terminal, as it is today. Needs tmux.

    uv run python tools/screenshot.py            writes it
    uv run python tools/screenshot.py --check    exits with 1 when it is not current

The personal profile is answered in a real terminal of 80 columns. Only Copier's list of files is
left out: its order is that of the file system.
"""

import argparse
import io
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

import archives
from terminal import CLEAR, COLUMNS, COMMAND, ENTER, Missing, Terminal

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "interview.svg"
ROWS = 200  # nothing scrolls away
ANSWERS = [
    ("Who will call this Worker?", ENTER),
    ("What is the project called?", CLEAR + "Invoice API" + ENTER),
    ("Your e-mail address", "ann@example.com" + ENTER),
    ("Your Zero Trust team name", "acme" + ENTER),
    ("The AUD tag of the Access application", ENTER),
]
LIST_OF_FILES = ("Copying from template version", 'The Worker "')  # from, up to
ALTERNATIVE = (
    "The interview in a terminal: the personal profile asks five questions. "
    "Then it says what to do next."
)

# Rich's own form would load a font from elsewhere. A picture in a README may load nothing, so the
# reader's own font is taken, and each piece of text has the width that it has in the terminal.
FORM = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>@ALTERNATIVE@</title>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace,
    "Apple Color Emoji", "Segoe UI Emoji", "Noto Color Emoji";
  font-size: {char_height}px;
}}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
""".replace("@ALTERNATIVE@", ALTERNATIVE)


def repository(folder: Path) -> Path:
    """The template as it is now, as a released version."""
    archives.working_tree(ROOT, folder)
    person = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (
        ["init", "--quiet"],
        ["add", "--all"],
        [*person, "commit", "--quiet", "--message", "x"],
        ["tag", "v1.0.0"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    return folder


def interview() -> list[str]:
    """What the terminal shows at the end, with its codes for colours."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch, "work")
        work.mkdir()
        template = repository(Path(scratch, "template"))
        with Terminal(template, work, Path(scratch, "home"), rows=ROWS) as terminal:
            terminal.interview(ANSWERS)
            return terminal.everything(colours=True)


def shortened(lines: list[str]) -> list[str]:
    """Without the list of files, and without the shell that waits again."""
    start, end = (next(n for n, line in enumerate(lines) if mark in line) for mark in LIST_OF_FILES)
    kept = [*lines[:start], "    ⋮", "", *lines[end:]]
    while not kept[-1].strip() or kept[-1].strip() == "$":
        kept.pop()
    return kept


def drawn(lines: list[str]) -> str:
    """The picture."""
    console = Console(
        width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True, color_system="256"
    )
    for line in lines:
        console.print(Text.from_ansi(line), no_wrap=True, crop=False, highlight=False)
    return console.export_svg(
        title=COMMAND, theme=SVG_EXPORT_THEME, code_format=FORM, unique_id="interview"
    )


def kept_current(path: Path, picture: str, check: bool) -> int:
    """Write the picture if it has changed. With `check` only say so: 1, else 0."""
    if path.is_file() and path.read_text(encoding="utf-8") == picture:
        return 0
    if check:
        print(f"docs/pictures/{path.name} is not current: uv run python tools/screenshot.py")
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(picture, encoding="utf-8", newline="\n")
    return 0


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Write the picture of the interview.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it is old")
    check = parser.parse_args(words).check
    try:
        picture = drawn(shortened(interview()))
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    return kept_current(PICTURE, picture, check)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
