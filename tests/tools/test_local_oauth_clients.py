"""Real agents get in through `local`: they find it, register, have their person log in at a real
browser, list and call a tool, and go on when their token has expired.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import anyio
import platformdirs
import pytest
from mcp.client import Client
from mcp.client.auth import OAuthRegistrationError
from mcp.shared.exceptions import MCPError

from agents_run import PACKAGES, Era, Kept, Npm, Person, behind, python_client
from command_run import project
from conftest import Render, npm_packages
from oauth_run import ANN, Played, served

pytestmark = pytest.mark.slow

ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])  # auto takes the newest revision
LASTS = 3  # seconds that an access token does


@pytest.fixture(scope="module")
def folder(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    answers = {"profile": "production", "agents": ["local"]}
    return project(rendered, tmp_path_factory.mktemp("local"), **answers)


@pytest.fixture
def played(folder: Path) -> Iterator[Played]:
    with served(behind()) as port:
        played = Played(folder, f"http://127.0.0.1:{port}")
        played.oauth.access_lasts = LASTS
        with served(played.front, played.port):
            yield played


@pytest.fixture
def url(played: Played) -> str:
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
    """The one tool there is, listed and called; later once more, with a token of a refresh."""
    assert [tool.name for tool in (await client.list_tools()).tools] == ["whoami"]
    said = [await called(client)]
    await anyio.sleep(LASTS + 1)
    assert [*said, await called(client)] == [ANN, ANN]
    return client.protocol_version


async def called(client: Client) -> str:
    (content,) = (await client.call_tool("whoami", {})).content
    assert content.type == "text"
    return content.text


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
    assert [tool["name"] for tool in listed["tools"]] == ["whoami"]
    anyio.run(anyio.sleep, LASTS)
    done = npm.inspector(url, person, *words, "tools/call", "--tool-name", "whoami")
    assert done["content"][0]["text"] == ANN
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


def test_another_person(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Access lets them in, the Worker does not; so it answers 403 and no login starts again."""
    person = Person("bob@example.com")

    async def run() -> None:
        async with python_client(url, person, "auto", Kept()) as client:
            await client.list_tools()

    with pytest.RaisesGroup(MCPError, flatten_subgroups=True):
        anyio.run(run)
    assert person.logins == 1
    assert "403 POST /mcp bob@example.com" in capsys.readouterr().out


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
