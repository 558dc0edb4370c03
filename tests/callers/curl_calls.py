"""callers/curl.sh with the real curl, and what the tests of it share."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from loopback import MACHINE, SECRET

__all__ = ["curl"]  # a fixture

Done = subprocess.CompletedProcess[str]
Curl = Callable[..., Done]

NEEDED = pytest.mark.skipif(
    os.name == "nt" or not (shutil.which("sh") and shutil.which("curl")),
    reason="the script is for a POSIX shell and curl",
)
SCRIPT = Path(__file__).parents[2] / "template" / "callers" / "curl.sh"
SIGNALS = (1, 2, 15)  # HUP, INT and TERM, which not every system names


@pytest.fixture
def curl(tmp_path: Path) -> Curl:
    """Run the script: `env` changes the environment, None takes a name out of it."""
    (tmp_path / ".curlrc").write_text('header = "X-Other: 1"\n', encoding="utf-8")
    (tmp_path / "tmp").mkdir()

    def curl(
        url: str,
        *arguments: str,
        shell: tuple[str, ...] = ("sh",),
        stdin: str = "",
        **env: str | None,
    ) -> Done:
        done = subprocess.run(
            [*shell, str(SCRIPT), *arguments],
            env=environment(tmp_path, url, env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert SECRET not in done.stdout + done.stderr
        assert "-x" in shell or len(done.stderr.splitlines()) <= 1
        assert not list((tmp_path / "tmp").iterdir())
        return done

    return curl


def environment(home: Path, url: str, changes: dict[str, str | None]) -> dict[str, str]:
    token = {"CF_ACCESS_CLIENT_ID": MACHINE, "CF_ACCESS_CLIENT_SECRET": SECRET}
    places = {"HOME": str(home), "TMPDIR": str(home / "tmp"), "PATH": os.environ["PATH"]}
    given = {**places, "URL": url, **token, **changes}
    return {name: value for name, value in given.items() if value is not None}


def hear_signals() -> None:
    """What pytest itself ignores, under nohup for one, its children would ignore as well."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def refused(done: Done, status: int, words: str) -> None:
    """It exits with the status, prints no answer, and says the words."""
    assert (done.returncode, done.stdout) == (status, "")
    assert words in done.stderr
