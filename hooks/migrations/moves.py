"""What migrations are made of. Copier runs them in the project's folder, before it renders.

Only the standard library: a migration runs with whatever Python runs Copier.
"""

import os
import subprocess
import sys
from pathlib import Path


def move(old: str, new: str) -> None:
    """Rename a file or folder that people may have edited. Paths are relative to the project.

    Nothing happens where the old one is missing: it was moved before, or its owner deleted it.
    """
    source, target = Path(old), Path(new)
    if not os.path.lexists(source):
        return
    if os.path.lexists(target):
        sys.exit(f"Both {old} and {new} exist. Keep one, commit, and run the update again.")
    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["git", "mv", "--", old, new], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{old} was not renamed to {new}. git says: {done.stderr.strip()}")
