"""`provision` lets agents log in through Access (Managed OAuth) if the project asks for it, exactly
those that it names, and takes it back with all that was issued."""

from typing import Any

import pytest

from cloudflare_api import Json
from provisioned import AGENTS, PRODUCTION, WHOLE, Make, Setup, stopped, well

pytestmark = pytest.mark.slow

pytest_plugins = ["provision_fixtures"]

CLAUDE = [
    "https://claude.ai/api/mcp/auth_callback",
    "https://claude.com/api/mcp/auth_callback",
]
ONLY = "https://chatgpt.com/connector/oauth/abc123"
OAUTH: Json = {
    "enabled": True,
    "dynamic_client_registration": {
        "enabled": True,
        "allow_any_on_localhost": True,
        "allow_any_on_loopback": True,
        "allowed_uris": CLAUDE,
    },
    "grant": {"access_token_lifetime": "15m", "session_duration": "336h"},
}
NOTHING = "Nothing to do: everything is as it should be."


def writes(setup: Setup) -> list[str]:
    """What the last run sent to the application, in order."""
    sent = [one for one in setup.api.requests if one.method != "GET" and "/apps/" in one.path]
    return [f"{one.method} {one.path.rpartition('/')[2]}" for one in sent]


def registration(setup: Setup) -> Json:
    found: Json = setup.app["oauth_configuration"]["dynamic_client_registration"]
    return found


def test_agents_are_let_in(make: Make) -> None:
    """Every field is sent: left out, Access would choose. A second run has nothing to do."""
    setup = make(**AGENTS)
    well(setup.apply())
    assert setup.app["oauth_configuration"] == OAUTH
    well(setup.run(), NOTHING)
    assert setup.api.revoked == []


@pytest.mark.parametrize(
    ("agents", "uris"),
    [
        ({"agents": ["local"]}, []),
        ({"agents": ["other"], "agent_redirect_uris": ONLY}, [ONLY]),
        ({"agents": ["claude", "other"], "agent_redirect_uris": ONLY}, [*CLAUDE, ONLY]),
    ],
)
def test_only_the_named_ones(make: Make, agents: dict[str, Any], uris: list[str]) -> None:
    setup = make(**PRODUCTION, **agents)
    well(setup.apply())
    assert registration(setup)["allowed_uris"] == uris


def test_without_agents_nothing_is_said_of_them(make: Make) -> None:
    setup = make()
    well(setup.apply())
    assert "oauth_configuration" not in setup.app
    setup.app["oauth_configuration"] = {"enabled": False, "grant": {"session_duration": "1h"}}
    well(setup.run(), NOTHING)


def widen(setup: Setup) -> None:
    registration(setup)["allowed_uris"].append("https://chatgpt.com/*")


def forget(setup: Setup) -> None:
    registration(setup)["allowed_uris"].pop()


def lengthen(setup: Setup) -> None:
    setup.app["oauth_configuration"]["grant"]["access_token_lifetime"] = "24h"


def switch_off(setup: Setup) -> None:
    setup.app["oauth_configuration"]["enabled"] = False


def close_loopback(setup: Setup) -> None:
    registration(setup)["allow_any_on_localhost"] = False


@pytest.mark.parametrize("spoil", [widen, forget, lengthen, switch_off, close_loopback])
def test_drift_is_a_change(make: Make, spoil: Any) -> None:
    """What is not ours in it survives the repair."""
    setup = make(**AGENTS)
    well(setup.apply())
    spoil(setup)
    setup.app["oauth_configuration"]["future_field"] = {"kept": True}
    shown = setup.run()
    well(shown, "oauth_configuration.")
    assert NOTHING not in shown.stdout
    well(setup.apply())
    assert setup.app["oauth_configuration"] == OAUTH | {"future_field": {"kept": True}}
    well(setup.run(), NOTHING)


def test_the_order_of_redirect_uris_is_no_change(make: Make) -> None:
    setup = make(**AGENTS)
    well(setup.apply())
    registration(setup)["allowed_uris"].reverse()
    well(setup.run(), NOTHING)


def test_nulls_are_no_answer(make: Make) -> None:
    setup = make(**AGENTS)
    well(setup.apply())
    setup.app["oauth_configuration"] = {"enabled": True, "grant": None}
    well(setup.apply())
    assert setup.app["oauth_configuration"] == OAUTH


@pytest.mark.parametrize(
    "there", [OAUTH, {}, {"grant": {"session_duration": "1h"}}], ids=["on", "empty", "left out"]
)
def test_agents_that_nobody_asked_for(make: Make, there: Json) -> None:
    """`enabled` means true where it is left out. What was issued outlives the switch, so the
    tokens are revoked: before, in case that the run is interrupted, and after."""
    setup = make()
    well(setup.apply())
    setup.app["oauth_configuration"] = dict(there)
    well(setup.run(), "oauth_configuration.enabled: true -> false", "revoked", "log in again")
    assert setup.api.revoked == []
    well(setup.apply())
    assert setup.app["oauth_configuration"] == {**there, "enabled": False}
    application = setup.app["id"]
    assert writes(setup) == ["POST revoke_tokens", f"PUT {application}", "POST revoke_tokens"]
    well(setup.run(), NOTHING)


def test_the_answer_is_taken_back(make: Make) -> None:
    setup = make(**AGENTS)
    well(setup.apply())
    path = setup.folder / ".private-worker.toml"  # as an update with that answer leaves it
    path.write_text(path.read_text().replace('agents = ["claude"]', "agents = []"))
    well(setup.apply(), "revoked")
    assert setup.app["oauth_configuration"] == OAUTH | {"enabled": False}
    assert set(setup.api.revoked) == {setup.app["id"]}


def test_interrupted_before_the_switch(make: Make) -> None:
    """The next run finds agents still let in, and ends what they hold once more."""
    setup = make()
    well(setup.apply())
    setup.app["oauth_configuration"] = {"enabled": True}
    setup.api.fail("PUT", "/access/apps/", 403)
    stopped(setup.apply())
    assert setup.api.revoked == [setup.app["id"]]
    well(setup.apply())
    assert setup.app["oauth_configuration"]["enabled"] is False
    assert len(setup.api.revoked) == 3


def test_another_application_keeps_its_agents(make: Make) -> None:
    """Without --adopt nothing of somebody else's application changes, and nobody is logged out."""
    setup = make()
    well(setup.apply())
    setup.app.update(name="theirs", oauth_configuration={"enabled": True})
    done = setup.apply()
    assert done.returncode == 2 and "--adopt" in done.stderr
    assert setup.app["oauth_configuration"] == {"enabled": True}
    assert setup.api.revoked == []


@pytest.mark.parametrize("spoil", [widen, lengthen], ids=["one is taken off", "shorter lives"])
def test_who_is_taken_off_the_list_is_out(make: Make, spoil: Any) -> None:
    """What an agent holds would outlive its place on the list."""
    setup = make(**AGENTS)
    well(setup.apply())
    spoil(setup)
    done = setup.apply()
    assert ("revoked" in done.stdout) == (spoil is widen)
    assert set(setup.api.revoked) == ({setup.app["id"]} if spoil is widen else set())


def test_agents_in_an_application_that_comes_first(make: Make) -> None:
    """Without agents in the project it is refused, although the guard would take its AUD."""
    setup = make(**WHOLE)
    well(setup.apply())
    path = f"/accounts/{setup.account.id}/access/apps"
    there = [{"type": "public", "uri": "invoices.example.net"}]
    first = setup.api.create(path, name="first", type="self_hosted", destinations=there)
    aud = setup.policy_aud
    text = setup.wrangler.read_text().replace(f'"{aud}"', f'["{aud}", "{first["aud"]}"]')
    setup.wrangler.write_text(text)
    well(setup.run(), "comes before this Worker's own")
    setup.account.apps[first["id"]]["oauth_configuration"] = {"grant": None}
    done = setup.run()
    assert done.returncode == 2 and "oauth_configuration.enabled: true -> false" in done.stderr
