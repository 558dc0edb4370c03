"""Style and types of everything here, side by side: what a commit has to pass.

uv run python tools/lint.py
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The vendored package tells a project's ruff to leave it alone; here it is held to our rules.
VENDOR = ["--config", "pyproject.toml", "template/vendor/private-worker/src"]
COMMANDS = (
    ["ruff", "check"],
    ["ruff", "check", *VENDOR],
    ["ruff", "format", "--check"],
    ["ruff", "format", "--check", *VENDOR],
    ["mypy"],
)


def main() -> int:
    """Returns 0 when all is well. What fails prints what it found."""
    running = [
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for command in COMMANDS
    ]
    failed = 0
    for command, process in zip(COMMANDS, running, strict=True):
        output, _ = process.communicate()
        if process.returncode:
            failed = 1
            print(f"{' '.join(command)}:\n{output}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
