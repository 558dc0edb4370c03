"""The real `wrangler dev`, as a process."""

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

QUIET = {"CI": "1", "WRANGLER_SEND_METRICS": "false", "NO_COLOR": "1", "FORCE_COLOR": "0"}


class Dev:
    """`wrangler dev` on a free port of 127.0.0.1; `command` starts wrangler, maybe with options."""

    def __init__(self, command: list[str], folder: Path, registry: Path) -> None:
        self.log = folder / "dev.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "dev", "--ip", "127.0.0.1", "--port", "0", "--inspector-port", "0"],
                cwd=folder,
                env={**os.environ, **QUIET, "WRANGLER_REGISTRY_PATH": str(registry)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.url = self.until(r"Ready on (http://127\.0\.0\.1:\d+)")
        except BaseException:
            self.stop()
            raise

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, words: str, seconds: float = 60) -> str:
        """Wait for these words in the output; returns the group, or all of them."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(words, self.said()):
                return found[found.re.groups]
            time.sleep(0.1)
        raise AssertionError(f"no {words!r} in:\n{self.said()}")

    def get(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=60) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def stop(self) -> None:
        """wrangler and the workerd below it."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
