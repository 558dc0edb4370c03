"""A rendered project, its deployed Worker and the account that it is in, for `provision`."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from cloudflare import Cloudflare

from cloudflare_api import Account, CloudflareApi, Json
from command_run import environment, run
from private_worker import api, cli, provision
from private_worker.provision import walk

PRODUCTION = {
    "profile": "production",
    "hostname": "invoices.example.net",
    "allowed_emails": "ann@example.net, Bob@Example.org",
}
# The same, but somebody chose an application on the whole Worker.
WHOLE = {**PRODUCTION, "access_scope": "worker"}
AGENTS = {**PRODUCTION, "agents": ["claude"]}
SINK = """
import json, os, sys
names = "CF_ACCESS_CLIENT_ID", "CF_ACCESS_TOKEN_NAME"
with open(sys.argv[1], "a") as file:
    file.write(json.dumps([sys.stdin.read(), *(os.environ[name] for name in names)]) + "\\n")
"""
TRAILING = 0.0  # seconds that a run waits for the lists; a person's waits longer
Done = subprocess.CompletedProcess[str]


@dataclass
class Setup:
    """A rendered project, its deployed Worker and the account that it is in."""

    api: CloudflareApi
    account: Account
    folder: Path
    sink: Path  # gets the secrets, outside of the project
    worker: Json

    @property
    def env(self) -> dict[str, str]:
        return {"CLOUDFLARE_BASE_URL": self.api.url, "CLOUDFLARE_API_TOKEN": self.api.token}

    def run(self, *words: str, **env: str) -> Done:
        """`provision` in this process, which is quicker: the SDK is imported once."""
        self.api.requests.clear()
        argv, out, err = ["private-worker", "provision", *words], StringIO(), StringIO()
        with _within(self.folder, argv, self.env | env), redirect_stdout(out), redirect_stderr(err):
            try:
                status = cli.main()
            except SystemExit as end:  # --help
                status = int(end.code or 0)
        return Done(argv, status, out.getvalue(), err.getvalue())

    def run_apart(self, *words: str, **env: str) -> Done:
        """The same in a process of its own, as a person starts it."""
        self.api.requests.clear()
        self.later()
        return run(self.folder, "provision", *words, env=self.env | env)

    def later(self) -> None:
        """So long after the last run that all lists are up to date."""
        (self.folder / ".wrangler" / "provision").unlink(missing_ok=True)

    def apply(self, *words: str, **env: str) -> Done:
        return self.run("--apply", "--secret-to", self.secret_to, *words, **env)

    @property
    def secret_to(self) -> str:
        return shlex.join([sys.executable, "-c", SINK, str(self.sink)])

    @property
    def handed_over(self) -> list[list[str]]:
        if not self.sink.exists():
            return []
        return [json.loads(line) for line in self.sink.read_text().splitlines()]

    @property
    def wrangler(self) -> Path:
        return self.folder / "wrangler.jsonc"

    def replace(self, old: str, new: str) -> None:
        text = self.wrangler.read_text()
        assert old in text
        self.wrangler.write_text(text.replace(old, new))

    def files(self) -> dict[str, bytes]:
        return {
            str(path): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and not {".git", "__pycache__"} & {*path.parts}
        }

    @property
    def app(self) -> Json:
        [found] = self.account.apps.values()
        return found

    @property
    def policy_aud(self) -> str:
        """What stands in wrangler.jsonc."""
        [found] = set(re.findall(r'"([0-9a-f]{64})"', self.wrangler.read_text()))
        return str(found)

    def policy(self, decision: str) -> Json:
        [found] = [p for p in self.account.policies.values() if p["decision"] == decision]
        return found

    def policy_named(self, part: str) -> Json:
        [found] = [p for p in self.account.policies.values() if f": {part} (" in p["name"]]
        return found

    def policy_token(self, name: str) -> Json:
        """As provision named it for this Worker: "my-api" itself, or a name of --service-token."""
        wanted = {f"{self.worker['name']}: {name} (private-worker)", f"{name} (private-worker)"}
        [found] = [t for t in self.account.service_tokens.values() if t["name"] in wanted]
        return found


Make = Callable[..., Setup]


def well(done: Done, *parts: str) -> None:
    assert done.returncode == 0, done.stderr + done.stdout
    for part in parts:
        assert part in done.stdout, done.stdout


def stopped(done: Done, *parts: str) -> None:
    """It did not finish: exit 1, says how to go on, and no traceback."""
    assert done.returncode == 1, done.stderr + done.stdout
    for part in parts:
        assert part in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def _within(folder: Path, argv: list[str], variables: dict[str, str]) -> Iterator[None]:
    made = []

    def client() -> Cloudflare:
        made.append(api.client())
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", argv)
        patch.setattr(provision, "client", client)
        patch.setattr(walk, "TRAILING", TRAILING)
        patch.setattr(api, "WAITS", (0.05, 0.05, 0.05, 0.05))
        for name in set(os.environ) - set(environment()):
            patch.delenv(name)
        for name, value in environment(**variables).items():
            patch.setenv(name, value)
        yield
    for one in made:
        one.close()
