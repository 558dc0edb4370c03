"""The whole way of real agents: they find `local` in the place of Access, register, have their
person log in at Chromium, list and call the tools of the rendered Worker behind its guard, and go
on when their token has expired.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import httpx
import platformdirs
import pytest
from mcp.client import Client
from mcp.client.auth import OAuthRegistrationError
from mcp.shared.exceptions import MCPError

from agents_run import PACKAGES, Era, Kept, Npm, Person, python_client
from conftest import Render, npm_packages
from oauth_run import ANN, Played, served
from private_worker.dev_vars import dev_vars
from private_worker.testing.needs import Project
from private_worker.testing.runtime import Runtime, Worker

pytestmark = pytest.mark.slow

pytest_plugins = ["private_worker.testing.plugin"]

ADMIN = '''

@tool(role="admin")
async def purge():
    """Delete everything."""
    return "gone"
'''

ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])  # auto takes the newest revision
LASTS = 3  # seconds that an access token does


@pytest.fixture(scope="module")
def project_root(
    rendered: Render, tmp_path_factory: pytest.TempPathFactory, node_modules: Path
) -> Path:
    """A project as it is rendered, and one tool for administrators."""
    folder = tmp_path_factory.mktemp("agents") / "project"
    shutil.copytree(rendered(profile="production", agents=["local"]), folder)
    with (folder / "src" / "tools.py").open("a", encoding="utf-8") as tools:
        tools.write(ADMIN)
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def kit_runtime(project_root: Path) -> Iterator[Runtime]:
    runtime = Runtime(Project(project_root), project_root / "packages")
    runtime.start()
    yield runtime
    runtime.stop()


Load = Callable[..., None]


@pytest.fixture
def load(played: Played, worker: Worker, project_root: Path) -> Load:
    """The Worker with the settings of .dev.vars and some more, which gets its keys from `local`."""

    def load(**settings: object) -> None:
        found = dev_vars((project_root / ".dev.vars").read_text(encoding="utf-8"))
        worker.load(
            env={**worker.env, **found, "ALLOWED_EMAILS": [ANN], **settings},
            routes={played.url: played.url},
        )
        played.front.worker = worker.listen(origin=played.url)

    return load


@pytest.fixture
def played(project_root: Path) -> Iterator[Played]:
    played = Played(project_root, "")
    played.oauth.access_lasts = LASTS
    with served(played.front, played.port):
        yield played


@pytest.fixture
def url(played: Played, load: Load) -> str:
    load()
    return f"{played.url}/mcp"


@pytest.fixture(scope="session")
def packages(node: Path) -> Path:
    """The agents from npm, installed once into the user's cache."""
    wanted = json.dumps({"private": True, "dependencies": PACKAGES})
    key = "agents-" + hashlib.sha256(wanted.encode()).hexdigest()[:16]
    return npm_packages(Path(platformdirs.user_cache_dir("private-worker-tests")) / key, wanted)


@pytest.fixture
def npm(node: Path, packages: Path, tmp_path: Path) -> Npm:
    return Npm(node, packages, tmp_path)


async def used(client: Client) -> str:
    """Tools listed and called; later once more, with a token of a refresh."""
    assert await listed(client) == ["whoami", "greet"]
    said = [await called(client)]
    await anyio.sleep(LASTS + 1)
    assert [*said, await called(client)] == [ANN, ANN]
    return client.protocol_version


async def listed(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


async def called(client: Client) -> str:
    result = await client.call_tool("whoami", {})
    assert result.structured_content is not None
    return str(result.structured_content["email"])


@ERAS
def test_python_sdk(url: str, era: Era) -> None:
    person, kept = Person(), Kept()

    async def run() -> str:
        async with python_client(url, person, era, kept) as client:
            return await used(client)

    assert anyio.run(run) == {"auto": "2026-07-28", "legacy": "2025-11-25"}[era]
    assert person.logins == 1


@ERAS
def test_mcp_remote(url: str, npm: Npm, era: Era) -> None:
    person = Person()

    async def run() -> str:
        async with npm.mcp_remote(url, person, era) as client:
            return await used(client)

    assert anyio.run(run) == {"auto": "2026-07-28", "legacy": "2025-11-25"}[era]
    assert person.logins == 1


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_inspector(url: str, npm: Npm, era: str) -> None:
    """Its command line; the second time it has its tokens already."""
    person = Person()
    words = ["--protocol-era", era, "--method"]
    listed = npm.inspector(url, person, *words, "tools/list")
    assert [tool["name"] for tool in listed["tools"]] == ["whoami", "greet"]
    anyio.run(anyio.sleep, LASTS)
    done = npm.inspector(url, person, *words, "tools/call", "--tool-name", "whoami")
    assert done["structuredContent"]["email"] == ANN
    assert person.logins == 1


def test_expired_grant(url: str, played: Played) -> None:
    """The person is asked again, and not before."""
    person, kept = Person(), Kept()
    played.oauth.grant_lasts = LASTS

    async def run() -> None:
        async with python_client(url, person, "auto", kept) as client:
            assert await called(client) == ANN and person.logins == 1
            await anyio.sleep(LASTS + 1)
            assert await called(client) == ANN and person.logins == 2

    anyio.run(run)


def test_another_person(url: str, worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    """Access lets them in, the guard does not; so it answers 403 and no login starts again."""
    person = Person("bob@example.com")

    async def run() -> None:
        async with python_client(url, person, "auto", Kept()) as client:
            await client.list_tools()

    with pytest.RaisesGroup(MCPError, flatten_subgroups=True):
        anyio.run(run)
    assert person.logins == 1
    assert "403 POST /mcp bob@example.com" in capsys.readouterr().out
    assert '"reason": "not_allowed"' in "".join(worker.logs)


def test_foreign_redirect_uri(url: str) -> None:
    person = Person()

    async def run() -> None:
        foreign = "https://agent.example.com/callback"
        async with python_client(url, person, "auto", Kept(), foreign):
            pass

    with pytest.RaisesGroup(
        pytest.RaisesExc(OAuthRegistrationError, match="redirect_uri is not allowed")
    ):
        anyio.run(run)
    assert person.logins == 0


def test_a_role(url: str, load: Load, worker: Worker) -> None:
    """The tool is shown to whoever has the role, and a call without it gets the one 403."""

    async def run(member: str) -> None:
        load(ROLES={"admin": [member]})
        async with python_client(url, Person(), "auto", Kept()) as client:
            assert ("purge" in await listed(client)) == (member == ANN)
            if member == ANN:
                assert not (await client.call_tool("purge", {})).is_error
            else:
                with pytest.raises(MCPError):
                    await client.call_tool("purge", {})

    anyio.run(run, ANN)
    anyio.run(run, "bob@example.com")
    assert '"reason": "role"' in "".join(worker.logs)


def test_an_agent_reaches_what_its_person_reaches(url: str) -> None:
    """The API as well, which docs/SECURITY.md says."""
    kept = Kept()

    async def run() -> None:
        async with python_client(url, Person(), "auto", kept) as client:
            await listed(client)

    anyio.run(run)
    assert kept.tokens is not None
    token = {"Authorization": f"Bearer {kept.tokens.access_token}"}
    answer = httpx.get(url.removesuffix("mcp"), headers=token, trust_env=False)
    assert answer.json() == {"ok": True, "identity": {"kind": "human", "email": ANN}}
