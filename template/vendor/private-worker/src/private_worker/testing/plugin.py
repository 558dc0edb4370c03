"""The fixtures of the kit. pytest finds this plugin by itself where the package is installed.

Node and Pyodide start when the first test asks for `worker`, once per pytest process, and end with
the session. What is missing or broken by then ends the run, with one message that says what to do.
Where no test asks for a fixture of the kit, nothing of this happens.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from private_worker.project import Problem

from .access import TEST_VARS, Access, Issuer
from .needs import Project
from .report import forgotten_await, of_logs
from .runtime import NeverLoaded, Runtime, Worker
from .workerd import Workerd

LINES = 100  # of the Worker's log that a failed test shows
REASON = "private-worker: why the run ends"  # in what pytest-xdist brings from its processes


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("private-worker")
    said = "run the Worker in real workerd, which takes longer; see private_worker.testing.workerd"
    group.addoption("--workerd", action="store_true", help=said)
    said = "folder with workerd's Python bundle, or for it; by default in pytest's cache"
    group.addoption("--workerd-bundle", metavar="DIR", help=said)


@pytest.fixture(scope="session")
def project_root(pytestconfig: pytest.Config) -> Path:
    """The folder with wrangler.jsonc."""
    return pytestconfig.rootpath


@pytest.fixture(scope="session")
def kit_project(project_root: Path) -> Project:
    """What wrangler.jsonc says of the Worker, and of its stores in tests."""
    return Project(project_root)


@pytest.fixture(scope="session")
def kit_runtime(
    project_root: Path, kit_project: Project, pytestconfig: pytest.Config
) -> Iterator[Runtime]:
    """The Node process; tests use `worker`."""
    cache = getattr(pytestconfig, "cache", None)  # off with -p no:cacheprovider
    folder = cache.mkdir("worker-packages") if cache else project_root / ".pytest_cache/packages"
    runtime = Runtime(kit_project, Path(folder))
    if pytestconfig.getoption("--workerd"):
        given = pytestconfig.getoption("--workerd-bundle")
        bundle = pytestconfig.invocation_params.dir / given if given else folder.parent / "workerd"
        runtime = Workerd(runtime.project, runtime.cache, bundle)
    runtime.start()
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
def worker(kit_runtime: Runtime, access: Access) -> Iterator[Worker]:
    """This project's Worker, freshly loaded, with settings that let the test's callers in.

    A forgotten `await` fails the test: what it calls may or may not happen on Cloudflare.
    """
    project = kit_runtime.project
    env = project.env | {name: TEST_VARS[name] for name in project.vars.keys() & TEST_VARS}
    worker = Worker(kit_runtime, env, {access.team_domain: access.url})
    yield worker
    if found := forgotten_await(worker.last_words()):
        pytest.fail(found, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """A fixture that cannot do its work for any test ends the run."""
    try:
        yield
    except Problem as error:
        _end(item.config, str(error))
    except NeverLoaded as error:
        if error.missing:  # tests without the Worker can go on
            pytest.fail(error.report, pytrace=False)
        _end(item.config, error.report)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows what its Worker has printed, exceptions included."""
    report = yield
    for worker in getattr(item, "funcargs", {}).values() if report.failed else ():
        if isinstance(worker, Worker):
            said = of_logs(worker.last_words()[-LINES:], worker.hint)
            if said.strip():
                report.sections.append(("the Worker's log", said))
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of pytest-xdist has ended, and only this one shows why."""
    if reason := getattr(node, "workeroutput", {}).get(REASON):
        _end(node.config, reason)


def _end(config: pytest.Config, reason: str) -> NoReturn:
    if hasattr(config, "workeroutput"):
        config.workeroutput[REASON] = reason
    raise pytest.Session.Interrupted(reason)
