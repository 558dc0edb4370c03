"""The guard's tests run the project's own front door and guard, with a small API behind them."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from private_worker.project import Shape
from private_worker.testing.access import MACHINE, PERSON, Access
from private_worker.testing.needs import Project
from private_worker.testing.runtime import Runtime, Worker

pytest.register_assert_rewrite(f"{__package__}.lib")

from .lib import Caller, Load, shape  # noqa: E402

PROBE = Path(__file__).parent / "probe"  # stands in for the owner's files in src/


def wanted(shape: Shape) -> dict[str, bool]:
    """Which files a shape has use for. Those that are not named here are for every shape.

    Paths below this folder. Those of the probe are copied, those of the suite collected.
    """
    return {
        "probe/api.py": shape.serves,
        "probe/at_the_edge.py": shape.edge,
        "probe/internal.py": shape.rpc,
        "probe/tools.py": bool(shape.agents),
        "probe/with_upstreams.py": shape.serves and bool(shape.upstreams),
        "test_answers.py": shape.edge,
        "test_api_border.py": shape.serves,
        "test_bound_fetch.py": shape.bound_fetch,
        "test_bound_rpc.py": shape.rpc,
        "test_claims.py": shape.edge,
        "test_keys.py": shape.edge,
        "test_known.py": shape.edge,
        "test_limit.py": shape.limited,
        "test_machines.py": shape.machines,
        "test_mcp.py": bool(shape.agents),
        "test_no_machines.py": shape.edge and not shape.machines,
        "test_no_people.py": shape.edge and not shape.humans,
        "test_people.py": shape.humans,
        "test_proof.py": shape.edge,
        "test_public.py": not shape.edge,
        "test_settings.py": shape.edge,
        "test_token.py": shape.edge,
        "test_upstream.py": shape.serves and bool(shape.upstreams),
    }


def pytest_configure() -> None:
    """A project that cannot be read ends the run here, once."""
    shape()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """What this shape does not have is not looked at; the tests run, and none is skipped."""
    return True if wanted(shape()).get(collection_path.name) is False else None


@pytest.fixture(scope="session")
def kit_project(kit_project: Project) -> Project:
    """Without the owner's stores. No test comes near the limit but those that ask for THREE."""
    limits = {"RATE_LIMIT": 1_000_000, "THREE": 3} if shape().limited else {}
    kit_project.stores = [
        {"kind": "ratelimits", "name": name, "simple": {"limit": limit, "period": 60}}
        for name, limit in limits.items()
    ]
    return kit_project


@pytest.fixture(scope="session")
def probe_source(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of src/ with the guard and the front door as they are, and the probe as the API."""
    folder = tmp_path_factory.mktemp("worker") / "src"
    source = project_root / "src"
    junk = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source / "guard", folder / "guard", ignore=junk)
    shutil.copy(source / "entry.py", folder)
    shutil.copy(PROBE / "events.py", folder)
    for name, there in wanted(shape()).items():
        if there and name.startswith("probe/"):
            shutil.copy(PROBE.parent / name, folder)
    if wanted(shape())["probe/with_upstreams.py"]:
        shutil.copy(source / "upstream.py", folder)
    if wanted(shape())["probe/tools.py"]:
        shutil.copy(source / "mcp_server.py", folder)
    return folder


@pytest.fixture(scope="module")
def warm() -> list[Worker]:
    """The Worker that `worker` gave to the test before, until somebody loads another one."""
    return []


@pytest.fixture
def load(
    kit_runtime: Runtime,
    access: Access,
    probe_source: Path,
    warm: list[Worker],
    monkeypatch: pytest.MonkeyPatch,
) -> Load:
    """Load the Worker: `drop` leaves vars out, other names set them, `routes` as for the kit.

    There is one isolate at a time: what was loaded before is gone.
    """
    monkeypatch.setattr(kit_runtime.project, "source", probe_source)
    settings: dict[str, Any] = {}
    if shape().edge:
        settings |= {"TEAM_DOMAIN": access.team_domain, "POLICY_AUD": access.aud}
    if shape().humans:
        settings["ALLOWED_EMAILS"] = [PERSON]
    if shape().machines:
        settings["ALLOWED_SERVICE_TOKENS"] = [MACHINE]
    if shape().binding:
        settings["ALLOWED_WORKERS"] = ["gateway"]
    if shape().limited:
        settings["RATE_LIMIT"] = {"$local": "RATE_LIMIT"}

    def load(
        *, drop: tuple[str, ...] = (), routes: dict[str, str] | None = None, **changes: Any
    ) -> Worker:
        warm.clear()
        env = {name: value for name, value in settings.items() if name not in drop}
        return Worker(kit_runtime, env | changes, routes or {access.team_domain: access.url})

    return load


@pytest.fixture
def fresh(load: Load) -> Worker:
    """The Worker in a new isolate, with settings that let `caller` and the Worker "gateway" in."""
    return load()


@pytest.fixture
def worker(load: Load, warm: list[Worker]) -> Worker:
    """The same, but it may have served other tests: for those that leave no trace in it."""
    if not warm:
        warm.append(load())
    return warm[0]


@pytest.fixture
def caller(access: Access) -> Caller:
    """Headers of somebody who may come in; arguments change the token, see the kit's `person`."""
    return access.person if shape().humans else access.machine


@pytest.fixture
def claims(access: Access) -> dict[str, Any]:
    """The claims of somebody who may come in."""
    return access.claims_person() if shape().humans else access.claims_machine()


@pytest.fixture
def inside(caller: Caller) -> dict[str, Any]:
    """What every request needs to get to the API."""
    if shape().edge:
        return {"headers": caller()}
    return {"entrypoint": "Internal", "props": {"caller": "gateway"}}
