"""The fixtures. tests/conftest.py loads them with `pytest_plugins = ["kit.plugin"]`.

Node and Pyodide start when the first test asks for `worker`, once per pytest process, and end
with the session. If something is missing, the tests that need it fail with one line.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from .access import AUD, MACHINE, PERSON, TEAM_DOMAIN, Access, Issuer
from .needs import Project, SetupError
from .runtime import Runtime, Worker

# What the settings are in tests, if wrangler.jsonc has a var of that name.
TEST_VARS: dict[str, Any] = {
    "TEAM_DOMAIN": TEAM_DOMAIN,
    "POLICY_AUD": AUD,
    "ALLOWED_EMAILS": [PERSON],
    "ALLOWED_SERVICE_TOKENS": [MACHINE],
    "ALLOWED_WORKERS": ["caller"],
}


@pytest.fixture(scope="session")
def project_root(pytestconfig: pytest.Config) -> Path:
    """The folder with wrangler.jsonc."""
    return pytestconfig.rootpath


@pytest.fixture(scope="session")
def kit_runtime(project_root: Path, pytestconfig: pytest.Config) -> Iterator[Runtime]:
    """The Node process; tests use `worker`."""
    cache = getattr(pytestconfig, "cache", None)  # off with -p no:cacheprovider
    folder = (
        cache.mkdir("worker-packages") if cache else project_root / ".pytest_cache" / "packages"
    )
    runtime = _or_fail(lambda: Runtime(Project(project_root), Path(folder)))
    _or_fail(runtime.start)
    yield runtime
    runtime.stop()


@pytest.fixture(scope="session")
def kit_issuer() -> Iterator[Issuer]:
    """The server with Access's public keys; tests use `access`."""
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture
def access(kit_issuer: Issuer) -> Iterator[Access]:
    """Cloudflare Access as far as a Worker sees it: mints tokens, publishes keys."""
    yield Access(kit_issuer)
    kit_issuer.access = None


@pytest.fixture
def worker(kit_runtime: Runtime, access: Access) -> Worker:
    """This project's Worker, freshly loaded, with settings that let the test's callers in."""
    env = {name: TEST_VARS.get(name, value) for name, value in kit_runtime.project.vars.items()}
    return Worker(kit_runtime, env, {access.team_domain: access.url})


T = TypeVar("T")


def _or_fail(step: Callable[[], T]) -> T:
    try:
        return step()
    except SetupError as error:
        pytest.fail(str(error), pytrace=False)
