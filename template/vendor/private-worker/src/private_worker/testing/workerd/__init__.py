"""`pytest --workerd`: the same tests in real workerd, the program that runs Workers at Cloudflare.

It is the one that wrangler brings, started by wrangler's own Miniflare, which also has the stores.
Each `worker.load` is a new process, so a run takes several times as long. What it is for: to see
before a deploy, and after an update of wrangler, that the Worker does there what the tests say.

workerd fetches its Python, "the bundle", once and keeps it: in pytest's cache, or in the folder of
`--workerd-bundle DIR`, which may hold it already. A folder with `pyodide_dev.capnp.bin`, as a build
of workerd makes it, is used with the flag `python_workers_development`. The Worker itself starts
from a snapshot of its memory, as after a deploy.

Tests that ask for what only the fast host can do are skipped with the reason, see SKIPPED. And some
things differ: texts of errors, of which the client's 500 brings the lines that the log has about
it; a request with `access=` has one more header; what `waitUntil` does may come to the log and to
`worker.outbound` after the answer.
"""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from private_worker.config import Config
from private_worker.project import WRANGLER, Problem

from ..needs import Project
from ..process import Runtime, WorkerError

__all__ = ["SKIPPED", "Workerd"]

DEVELOPMENT = "pyodide_dev.capnp.bin"

# What only the fast host can do: an operation of it, or what `load` and requests may ask for.
SKIPPED = {
    "access": "workerd takes no such values for ctx.access",
    "advance": "the clock of workerd cannot be moved",
    "alarm": "an alarm of workerd's comes when it is due",
    "beside": "workerd runs no second Worker beside this one",
    "fakes": "no class of the test's can be a binding in workerd",
    "run": "no function of the test's runs in workerd",
    "sent": "workerd does not say what was sent to a queue",
    "workflow": "a Workflow takes its time in workerd",
}


class Workerd(Runtime):
    """As its base class, with workerd in the place of Pyodide under Node.

    bundle: the folder with workerd's Python, or for it.
    """

    host = Path(__file__).with_name("host.mjs")
    runs = "workerd"
    load_timeout = 120.0  # seconds, for two starts of Python on a busy machine

    def __init__(self, project: Project, cache: Path, bundle: Path) -> None:
        super().__init__(project, cache)
        self.bundle = bundle

    def settings(self) -> dict[str, Any]:
        try:
            self.bundle.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            said = f"{self.bundle} cannot be made ({error.strerror})"
            raise Problem(f"{said}: give another folder with --workerd-bundle DIR") from None
        config = Config(self.project.root / WRANGLER).data
        flags = list(config.get("compatibility_flags", ()))
        if (self.bundle / DEVELOPMENT).is_file():
            flags.append("python_workers_development")
        packages = self.project.packages(self.cache)
        return {
            "nodeModules": str(_node_modules(self.project.root)),
            "main": str(self.main),
            "packages": {name: str(file) for name, file in packages.items()},
            "date": config.get("compatibility_date"),
            "flags": flags,
            "stores": self.project.stores,
            "bundle": str(self.bundle.resolve()),
        }

    def load(self, **fields: Any) -> None:
        if fields["beside"]:
            pytest.skip(SKIPPED["beside"])
        if any(isinstance(value, dict) and "$fake" in value for value in fields["env"].values()):
            pytest.skip(SKIPPED["fakes"])
        try:
            super().load(**fields)
        except WorkerError as error:
            if error.name == "MigrationError":
                raise Problem(error.message) from None
            raise

    def send(self, op: str, **fields: Any) -> "Future[Any]":
        if op in SKIPPED:
            pytest.skip(SKIPPED[op])
        if fields.get("worker"):
            pytest.skip(SKIPPED["beside"])
        if op == "object" and fields["method"] == "alarm":
            pytest.skip(SKIPPED["alarm"])
        if access := fields.get("access"):
            identity = access.get("identity")
            if not (isinstance(access.get("aud"), str) and isinstance(identity, dict | None)):
                pytest.skip(SKIPPED["access"])
        return super().send(op, **fields)


def _node_modules(root: Path) -> Path:
    """Where wrangler is: in `root` or in a folder above it. Raises Problem."""
    for folder in (root, *root.parents):
        if (folder / "node_modules/wrangler/package.json").is_file():
            return folder / "node_modules"
    raise Problem("the npm package wrangler is missing: run `npm install`")
