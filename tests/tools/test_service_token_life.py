"""A service token ends: `provision` tells of it in time, renews it, and gives it another secret."""

import json
import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from command_run import refused
from provisioned import Make, Setup, stopped, well

pytestmark = pytest.mark.slow

pytest_plugins = ["provision_fixtures"]

CREDENTIALS = "Zero Trust > Access controls > Service credentials"


@pytest.fixture
def setup(make: Make) -> Setup:
    """With everything set up, and the token's secret handed over."""
    made = make()
    well(made.apply())
    return made


def from_now(**time: float) -> str:
    return (datetime.now(UTC) + timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (31, ""),
        (29.5, "(days left: 29). Renew it"),
        (0.5, "days left: 0"),
        (-2, ", so nobody gets in with it"),
    ],
)
def test_its_end_is_told_of(setup: Setup, days: float, said: str) -> None:
    setup.policy_token("my-api")["expires_at"] = from_now(days=days)
    done = setup.run()
    if said:
        well(
            done,
            "Nothing to change.",
            said,
            "npm run provision -- --renew 'my-api (private-worker)'",
        )
        assert "Nothing to do" not in done.stdout
    else:
        well(done, "Nothing to do")


def test_one_that_is_disabled_is_told_of(setup: Setup) -> None:
    """Somebody may have meant it, so nothing enables it again."""
    setup.policy_token("my-api")["enabled"] = False
    done = setup.apply()
    well(done, '"my-api (private-worker)" is switched off', CREDENTIALS, "Nothing to change.")
    assert "Nothing to do" not in done.stdout and setup.api.writes == []


def test_one_without_an_end(setup: Setup) -> None:
    for never in (None, "9999-12-31T23:59:59Z"):
        setup.policy_token("my-api")["expires_at"] = never
        well(setup.run(), "Nothing to do")


def test_staging_has_tokens_of_its_own(setup: Setup) -> None:
    """The command that is shown names the environment."""
    block = f'{{"vars": {STAGING}, "routes": [], "workers_dev": true}}'
    setup.replace('"workers_dev"', f'"env": {{"staging": {block}}}, "workers_dev"')
    setup.worker = setup.api.worker(setup.account, "my-api-staging")
    well(setup.apply("--env", "staging"))
    setup.policy_token("my-api-staging")["expires_at"] = from_now(days=3)
    done = setup.run("--env", "staging")
    shown = "--renew 'my-api-staging (private-worker)' --env staging"
    well(done, f"npm run provision -- {shown}")
    well(setup.run(*shlex.split(shown), "--apply"), "The service token ends on 20")
    refused(setup.run(*shlex.split(shown)[:2]), "ALLOWED_SERVICE_TOKENS does not list")


@pytest.mark.parametrize("name", ["my-api", "my-api (private-worker)"])
def test_renewed_without_anything_else(setup: Setup, name: str) -> None:
    """Whatever else differs, only the token's end moves. Its secret stays."""
    setup.policy_token("my-api")["expires_at"] = from_now(days=3)
    setup.app["session_duration"] = "1h"
    files = setup.files()
    plan = setup.run("--renew", name)
    well(plan, "~ change service token", "-> a year from now", "Nothing was changed")
    assert setup.api.writes == []
    well(setup.run("--renew", name, "--apply"), "done: change", "The service token ends on 20")
    [write] = setup.api.writes
    assert write.path.endswith("/refresh")
    left = datetime.fromisoformat(setup.policy_token("my-api")["expires_at"]) - datetime.now(UTC)
    assert left > timedelta(days=300)
    assert setup.app["session_duration"] == "1h" and setup.files() == files
    assert len(setup.api.secrets) == 1
    setup.app["session_duration"] = "24h"
    well(setup.run(), "Nothing to do")


def test_rotated_without_downtime(setup: Setup) -> None:
    """The new secret is handed over at once, and the one before goes on for the time given."""
    token = setup.policy_token("my-api")
    first, state = setup.handed_over, setup.api.state()
    plan = setup.run("--rotate", "my-api", "--grace", "7d", "--secret-to", setup.secret_to)
    well(plan, "a new secret; the one before works until 20", "Nothing was changed")
    assert setup.api.state() == state and setup.api.writes == [] and setup.handed_over == first
    done = setup.apply("--rotate", "my-api", "--grace", "7d")
    well(done, "done: change service token")
    [write] = setup.api.writes
    assert write.path.endswith("/rotate")
    until = datetime.fromisoformat(str(setup.api.rotated[token["id"]]))
    assert abs(until - datetime.now(UTC) - timedelta(days=7)) < timedelta(minutes=5)
    old, new = setup.api.secrets
    assert setup.handed_over == [*first, [new, token["client_id"], "my-api"]]
    assert new not in done.stdout + done.stderr and old != new
    well(setup.run(), "Nothing to do")


def test_a_leak_leaves_the_old_secret_no_time(setup: Setup) -> None:
    well(setup.apply("--rotate", "my-api", "--grace", "0"))
    assert setup.api.rotated == {setup.policy_token("my-api")["id"]: None}


def test_the_old_secret_goes_on_for_a_week_by_itself(setup: Setup) -> None:
    well(setup.apply("--rotate", "my-api"))
    [until] = setup.api.rotated.values()
    left = datetime.fromisoformat(str(until)) - datetime.now(UTC)
    assert timedelta(days=6) < left < timedelta(days=8)


def test_a_rotation_that_did_not_end_well(setup: Setup) -> None:
    """A second one would end the secret that is in use, so nobody is told to run it again."""
    lost = setup.run("--apply", "--rotate", "my-api", "--secret-to", "false")
    stopped(lost, "--secret-to failed (exit status 1)", "is lost", "works until 20", "that may end")
    assert "it goes on from there" not in lost.stderr and CREDENTIALS not in lost.stderr
    assert setup.api.secrets[-1] not in lost.stdout + lost.stderr
    setup.api.fail("POST", "/rotate$", 0, carried_out=True, drop=True)
    unknown = setup.apply("--rotate", "my-api")
    stopped(unknown, "whether it was done is not known", "see whether it was rotated", CREDENTIALS)
    assert len([row for row in setup.api.writes if row.path.endswith("/rotate")]) == 1


def test_nobody_could_see_the_new_secret(setup: Setup) -> None:
    refused(setup.run("--apply", "--rotate", "my-api"), "--secret-to", '"my-api"')
    assert setup.api.rotated == {}


def test_tokens_that_are_not_this_workers(setup: Setup) -> None:
    other = setup.api.service_token(setup.account, "backup")
    for option in ("--renew", "--rotate"):
        refused(setup.apply(option, "backup"), option, "ALLOWED_SERVICE_TOKENS", '"backup"')
        refused(setup.apply(option, "nobody"), option, "no service token", '"nobody"')
    setup.replace(
        '"ALLOWED_SERVICE_TOKENS": [', f'"ALLOWED_SERVICE_TOKENS": ["{other["client_id"]}", '
    )
    well(setup.apply("--renew", "backup"))
    setup.api.service_token(setup.account, "backup")
    refused(setup.apply("--rotate", "backup"), "several service tokens match")


def test_everybodys_tokens_are_not_this_workers(setup: Setup) -> None:
    """Although the guard would let them in. What provision made is, whoever is on the list."""
    setup.api.service_token(setup.account, "backup")
    client_id = setup.policy_token("my-api")["client_id"]
    setup.replace(f'["{client_id}"]', '["*"]')
    refused(setup.apply("--rotate", "backup", "--grace", "0"), "ALLOWED_SERVICE_TOKENS", '"backup"')
    assert setup.api.rotated == {}
    well(setup.apply("--rotate", "my-api"))


def test_a_first_secret_that_was_lost(make: Make) -> None:
    """What the message says to type works, also before wrangler.jsonc has the Client ID."""
    setup = make()
    lost = setup.run("--apply", "--secret-to", "false")
    stopped(lost, "is lost. Take another: npm run provision -- --rotate my-api --grace 0")
    well(setup.apply("--rotate", "my-api", "--grace", "0"))
    assert [secret for secret, *_ in setup.handed_over] == setup.api.secrets[-1:]


@pytest.mark.parametrize("comma", ["", ","])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_stands_beside_a_client_id_stays(setup: Setup, comma: str, end: str) -> None:
    """Nobody knows by itself whose `0f3a….access` is, so people write it there."""
    client_id = setup.policy_token("my-api")["client_id"]
    own = f'[{end}      // of ours{end}      "{client_id}"{comma} // nightly, "x"{end}    ]'
    setup.replace(f'["{client_id}"]', own)
    well(setup.apply("--service-token", "extra"))
    added = setup.policy_token("extra")["client_id"]
    after = own.replace(
        f'"{client_id}"{comma} // nightly, "x"',
        f'"{client_id}", // nightly, "x"{end}      "{added}"',
    )
    assert after in setup.wrangler.read_bytes().decode()


def test_one_that_still_lets_nobody_in(setup: Setup) -> None:
    token = setup.policy_token("my-api")
    token["enabled"] = False
    for option in ("--renew", "--rotate"):
        well(setup.apply(option, "my-api"), "is switched off: nobody gets in with it")
    token |= {"enabled": True, "expires_at": from_now(days=-3)}
    well(setup.apply("--rotate", "my-api"), ", so nobody gets in with it", "-- --renew")
    well(setup.apply("--renew", "my-api"))
    assert "Left to do by hand" not in setup.apply("--renew", "my-api").stdout


@pytest.mark.parametrize("time", ["31d", "7", "1h", "-1d", "100d", "7d ", "0d", "٣d", "a week"])
def test_a_wrong_grace(setup: Setup, time: str) -> None:
    refused(setup.apply("--rotate", "my-api", f"--grace={time}"), "--grace", "1d to 30d")


def test_only_one_of_them_at_a_time(setup: Setup) -> None:
    refused(setup.run("--renew", "my-api", "--remove"), "--remove", "not allowed with")
    refused(setup.run("--renew", "my-api", "--grace", "3d"), "--grace", "--renew")
    refused(setup.run("--grace", "3d"), "--grace", "without --rotate")
    for option in ("--service-token", "--adopt"):
        refused(setup.run("--remove", option, "x"), option, "does nothing together with --remove")


STAGING = """{
  "TEAM_DOMAIN": "REPLACE_WITH_TEAM_DOMAIN", "POLICY_AUD": "REPLACE_WITH_AUD_TAG",
  "ALLOWED_EMAILS": ["ann@example.net"], "ALLOWED_SERVICE_TOKENS": ["REPLACE_WITH_CLIENT_ID"]
}"""
PRINTS = """
import json, os, sys
with open(sys.argv[1], "w") as file:
    json.dump([dict(os.environ), sys.argv], file)
sys.stdin.read()
"""


def test_who_gets_the_secret_does_not_get_the_api_token(setup: Setup, tmp_path: Path) -> None:
    """Neither in the environment nor in the arguments, whatever the SDK could sign in with."""
    seen = tmp_path / "seen.json"
    words = shlex.join([sys.executable, "-c", PRINTS, str(seen)])
    well(
        setup.run(
            "--apply",
            *("--rotate", "my-api", "--secret-to", words),
            CLOUDFLARE_API_KEY="k" * 37,
            CLOUDFLARE_EMAIL="eve@example.net",
            CLOUDFLARE_API_USER_SERVICE_KEY="v1.0-x",
            CLOUDFLARE_ACCOUNT_ID=setup.account.id,
            TF_VAR_token=f"Bearer {setup.api.token}",
            CF_ACCESS_CLIENT_SECRET="the one before",
            GH_TOKEN="for-the-command",
        )
    )
    variables, arguments = json.loads(seen.read_text())
    assert setup.api.token not in json.dumps([variables, arguments])
    assert not {"CLOUDFLARE_API_KEY", "CLOUDFLARE_EMAIL"} & variables.keys()
    assert "CLOUDFLARE_API_USER_SERVICE_KEY" not in variables
    assert "CF_ACCESS_CLIENT_SECRET" not in variables  # which could be stored in place of the new
    assert variables["GH_TOKEN"] == "for-the-command"
    assert variables["CLOUDFLARE_ACCOUNT_ID"] == setup.account.id
    wrong = setup.run("--apply", "--secret-to", f"true {setup.api.token}")
    refused(wrong, "--secret-to", "CLOUDFLARE_API_TOKEN")
    assert setup.api.token not in wrong.stderr
