"""The Worker's packages, from the wheels that pylock.toml names.

Neither uv nor pip installs from a pylock.toml for Pyodide's platform without Pyodide's own Python
(uv 0.13, pip 26.3). A wheel for Pyodide is an archive that only has to be unpacked.
"""

import hashlib
import io
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from private_worker.lock import Locked

TIMEOUT = 60  # seconds without a byte
# Some hosts refuse Python's own name.
HEADERS = {"User-Agent": "private-worker"}
DATA = re.compile(r"[^/]+\.data/(?:purelib|platlib)/")  # where a wheel may have modules, too


def install(packages: list[Locked], cache: Path) -> Iterator[tuple[Locked, Path | str]]:
    """Each package with the folder that it is unpacked in, or with the reason why it is not.

    The folder below `cache` has the hash for its name, so that no other wheel is ever taken for it.
    """
    with ThreadPoolExecutor(8) as several:
        yield from zip(packages, several.map(partial(_install, cache=cache), packages), strict=True)


def _install(package: Locked, cache: Path) -> Path | str:
    folder = cache / package.sha256
    if not package.url:
        return "it is no wheel; `uv run pywrangler sync` builds it into python_modules/"
    if folder.is_dir():
        return folder
    try:
        with urlopen(Request(package.url, headers=HEADERS), timeout=TIMEOUT) as answer:
            wheel = answer.read()
    except (OSError, HTTPException) as error:
        return str(error.reason if type(error) is URLError else error)
    if hashlib.sha256(wheel).hexdigest() != package.sha256:
        return "the wheel has another SHA-256 than pylock.toml says"
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            _keep(folder, archive.extractall)
    except (OSError, zipfile.BadZipFile) as error:
        return f"the wheel cannot be unpacked: {error}"
    return folder


def absent(missing: list[str], cache: Path) -> dict[str, Path]:
    """Files that make an import say what is missing, in the form that `files_in` has."""
    line = f"import _kit_absent; _kit_absent.missing[:] = {ascii(missing)}\n"
    folder = cache / f"absent-{hashlib.sha256(line.encode()).hexdigest()}"
    if not folder.is_dir():
        _keep(folder, lambda scratch: (scratch / "_kit_absent.pth").write_text(line))
    return files_in(folder) | {"_kit_absent.py": Path(__file__).with_name("absent.py")}


def files_in(folder: Path) -> dict[str, Path]:
    """All files of installed packages: the path in there -> the path here."""
    return {
        DATA.sub("", file.relative_to(folder).as_posix()): file
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def _keep(folder: Path, fill: Callable[[Path], object]) -> None:
    """Make `folder`, which appears with all that `fill` puts into it or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "it"
        made.mkdir()
        fill(made)
        try:
            made.rename(folder)
        except OSError:  # another pytest process was faster
            if not folder.is_dir():
                raise
