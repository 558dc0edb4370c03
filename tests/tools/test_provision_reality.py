"""`provision` against an API that is slow to agree with itself, throttles, and loses answers; and
the way out."""

from typing import Any

import pytest

import provisioned
from cloudflare_api import Json
from command_run import refused
from private_worker import api as commands_api
from provisioned import PRODUCTION, WHOLE, Make, Setup, stopped, well

pytestmark = pytest.mark.slow

pytest_plugins = ["provision_fixtures"]

APPLICATIONS = "Zero Trust > Access controls > Applications"
THROTTLED = [{"code": 971, "message": "Please wait and consider throttling your request speed"}]


def counts(setup: Setup) -> list[int]:
    """How many login methods, tokens, policies and applications there are."""
    account = setup.account
    kinds = account.identity_providers, account.service_tokens, account.policies, account.apps
    return [len(kind) for kind in kinds]


# Throttling


@pytest.mark.parametrize("status", [429, 403])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/access/organizations$"),
        ("GET", "/access/apps$"),
        ("POST", "/access/service_tokens$"),
        ("POST", "/access/policies$"),
        ("POST", "/access/apps$"),
        ("PATCH", "/access/organizations$"),
    ],
)
def test_what_is_throttled_is_asked_again(make: Make, status: int, method: str, path: str) -> None:
    """It was not carried out, so that nothing is there twice."""
    setup = make()
    assert setup.account.organization is not None
    setup.account.organization["strict_service_token_auth"] = False
    setup.api.fail(method, path, status, THROTTLED, times=2, headers={"Retry-After-Ms": "10"})
    well(setup.apply())
    assert counts(setup) == [1, 1, 2, 1] and len(setup.handed_over) == 1
    well(setup.apply(), "Nothing to do")


def test_throttled_without_an_end(make: Make) -> None:
    setup = make()
    many = {"times": 99, "headers": {"Retry-After-Ms": "10"}}
    setup.api.fail("POST", "/access/policies$", 403, THROTTLED, **many)  # type: ignore[arg-type]
    done = setup.apply()
    stopped(done, "HTTP 403", "971", "rate limit", "run it again: it goes on from there")
    assert "has expired" not in done.stderr
    assert len(setup.api.writes) == 2 + 5


# Eventual consistency


def test_what_is_new_is_not_found_at_once(make: Make) -> None:
    setup = make()
    setup.api.unknown_at_first = 2
    well(setup.apply())
    assert counts(setup) == [1, 1, 2, 1]
    well(setup.apply(), "Nothing to do")


def test_what_is_never_found(make: Make) -> None:
    setup = make()
    setup.api.unknown_at_first = 99
    stopped(
        setup.apply(),
        "HTTP 400",
        "token",
        "not found",
        "too new",
        "run it again: it goes on from there",
    )


def test_lists_that_trail(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that stops, and another at once: the second waits for what the first one made."""
    monkeypatch.setattr(provisioned, "TRAILING", 2.0)
    setup = make()
    setup.api.trailing_lists, setup.api.unknown_at_first = 1.5, 6
    runs = 0
    for runs in range(1, 9):
        done = setup.apply()
        if runs > 1:
            assert "the lists may not show yet what was done" in done.stdout
        if done.returncode == 0:
            break
        stopped(done, "not found", "run it again: it goes on from there")
    assert done.returncode == 0 and runs > 1
    assert counts(setup) == [1, 1, 2, 1] and len(setup.handed_over) == 1
    well(setup.apply(), "Nothing to do")


@pytest.mark.parametrize("kind", ["identity_providers", "policies", "apps", "service_tokens"])
def test_an_answer_that_got_lost(make: Make, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was created nevertheless is found by the next run, however late the lists are."""
    monkeypatch.setattr(provisioned, "TRAILING", 1.5)
    setup = make()
    setup.api.trailing_lists = 1.0
    setup.api.fail("POST", f"/access/{kind}$", 502, body=b"<html>", carried_out=True)
    stopped(setup.apply(), "HTTP 502", "whether it was done is not known")
    well(setup.apply())
    assert counts(setup) == [1, 1, 2, 1]


def test_the_wait_is_for_those_who_come_back_at_once(make: Make) -> None:
    setup = make()
    well(setup.apply())
    setup.later()
    done = setup.run()
    well(done, "Nothing to do")
    assert "Waiting" not in done.stdout
    assert provisioned.TRAILING == 0 and list(commands_api.WAITS) == [1, 2, 4, 8]


# Refusals that say what to do


def test_a_destination_that_is_taken(make: Make) -> None:
    """Lists did not show the application, or it was made in between."""
    setup = make()
    taken = [{"code": 11010, "message": "access.api.error.application_already_exists"}]
    setup.api.fail("POST", "/access/apps$", 409, taken)
    stopped(
        setup.apply(),
        "(my-api (private-worker))",
        "11010 access.api.error.application_already_exists",
        "--adopt ID",
        APPLICATIONS,
    )
    well(setup.apply())


def test_a_refusal_names_the_object(make: Make) -> None:
    setup = make()
    limit = [{"code": 9999, "message": "access.api.error.invalid_request: name"}]
    setup.api.fail("POST", "/access/policies$", 400, limit)
    stopped(setup.apply(), "(my-api: people (private-worker))", "HTTP 400", "invalid_request: name")
    setup.api.fail("POST", "/access/policies$", 409, limit)
    stopped(setup.apply(), "(my-api: people (private-worker))", "HTTP 409", "run it again")


def test_strict_mode_that_the_token_may_not_turn_on(make: Make) -> None:
    """All else is done by then."""
    setup = make()
    assert setup.account.organization is not None
    setup.account.organization["strict_service_token_auth"] = False
    setup.api.denied = {"PATCH "}
    permission = '"Access: Organizations, Identity Providers, and Groups: Edit"'
    stopped(setup.apply(), "changing the Zero Trust organisation", "HTTP 403", permission)
    assert setup.app["aud"] in setup.wrangler.read_text()
    setup.account.organization["strict_service_token_auth"] = True
    well(setup.apply(), "Nothing to do")


def test_lists_are_asked_for_as_they_are_paged(make: Make) -> None:
    """51 tokens are more than a page, and none of them is made a second time."""
    setup = make()
    setup.api.page_size = 50
    for number in range(51):
        setup.api.service_token(setup.account, f"t{number}")
    well(setup.apply("--service-token", "t50"), "was there already")
    assert len(setup.account.service_tokens) == 51


# The way out


def test_removed_is_what_was_created(make: Make) -> None:
    setup = make()
    before = setup.api.state()
    well(setup.run("--remove"), "Nothing to change.")
    well(setup.apply("--service-token", "my-api", "--service-token", "ci"))
    full = setup.api.state()
    plan = setup.run("--remove")
    well(
        plan,
        '- delete application "my-api (private-worker)"',
        '- delete policy "my-api: people (private-worker)"',
        '- delete policy "my-api: service tokens (private-worker)"',
        '- delete service token "my-api (private-worker)"',
        '- delete service token "my-api: ci (private-worker)"',
        "Nothing was changed",
    )
    assert setup.api.state() == full and setup.api.writes == []
    files = setup.files()
    well(setup.run("--remove", "--apply"), "done: delete application")
    assert {write.method for write in setup.api.writes} == {"DELETE"}
    assert counts(setup) == [1, 0, 0, 0]  # the login method may serve others
    assert setup.account.workers == before[0][setup.account.id].workers
    assert setup.files() == files
    well(setup.run("--remove", "--apply"), "Nothing to change.")


def _others(setup: Setup) -> list[Json]:
    """What looks like ours, and is not."""
    path, api = f"/accounts/{setup.account.id}/access", setup.api
    rule: Any = [{"email": {"email": "eve@example.net"}}]
    names = ("my-api", "my-api: people", "my-api-2 (private-worker)", "My-Api (private-worker)")
    made = [
        api.create(f"{path}/policies", name=name, decision="allow", include=rule)
        for name in (*names, "my-api (private-worker)")
    ]
    made += [
        api.create(f"{path}/apps", name=n, type="self_hosted", domain=f"{i}.example.org")
        for i, n in enumerate((*names, "my-api: people (private-worker)"))
    ]
    made += [
        api.service_token(setup.account, name)
        for name in (*names, "my-api-staging: ci (private-worker)")
    ]
    return made


def test_nothing_else_is_removed(make: Make) -> None:
    setup = make()
    others = {row["id"] for row in _others(setup)}
    well(setup.apply())
    well(setup.run("--remove", "--apply"))
    account = setup.account
    assert {*account.policies, *account.apps, *account.service_tokens} == others


def test_what_others_use_stays(make: Make) -> None:
    setup = make()
    well(setup.apply())
    people, token = setup.policy_named("people"), setup.policy_token("my-api")
    path = f"/accounts/{setup.account.id}/access"
    wiki = setup.api.create(
        f"{path}/apps",
        name="wiki",
        type="self_hosted",
        domain="wiki.example.net",
        policies=[{"id": people["id"], "precedence": 1}],
    )
    rule = [{"service_token": {"token_id": token["id"]}}]
    setup.api.create(f"{path}/policies", name="theirs", decision="non_identity", include=rule)
    done = setup.run("--remove", "--apply")
    well(done, "another application uses", "another policy names", "done: delete application")
    assert list(setup.account.apps) == [wiki["id"]] and people["id"] in setup.account.policies
    assert token["id"] in setup.account.service_tokens
    well(setup.run("--remove", "--apply"), "Nothing to change.", "another application uses")


def test_an_application_that_covers_more_is_not_removed(make: Make) -> None:
    """What else it covers would be open."""
    setup = make()
    well(setup.apply())
    setup.app["destinations"].append({"type": "public", "uri": "wiki.example.net"})
    state = setup.api.state()
    refused(setup.run("--remove", "--apply"), "wiki.example.net", "would be open", APPLICATIONS)
    assert setup.api.state() == state


def test_the_next_run_waits_for_a_removal(make: Make) -> None:
    """Or it would find in the lists what is gone, and say that all is well."""
    setup = make()
    well(setup.apply())
    setup.later()
    well(setup.run("--remove", "--apply"))
    assert (setup.folder / ".wrangler" / "provision").exists()


def test_a_worker_that_is_gone(make: Make) -> None:
    """Its application names it by an id that nobody has any more, so nothing would be open."""
    setup = make(**WHOLE)
    well(setup.apply())
    setup.account.workers.clear()
    done = setup.run("--remove", "--apply")
    client_id = setup.handed_over[0][1]
    well(done, "done: delete application", f"Take {client_id} out of ALLOWED_SERVICE_TOKENS")
    assert counts(setup) == [1, 0, 0, 0]


def test_set_up_again_after_a_removal(make: Make) -> None:
    setup = make()
    well(setup.apply())
    well(setup.run("--remove", "--apply"))
    client_id = setup.handed_over[0][1]
    refused(setup.apply(), "ALLOWED_SERVICE_TOKENS", client_id, "Take it out, or give another")
    setup.replace(f'"{client_id}"', '"REPLACE_WITH_CLIENT_ID"')
    well(setup.apply())


def test_an_address_of_a_worker_that_is_gone(make: Make) -> None:
    """Its application covers that alone, so nothing else would be open."""
    setup = make(profile="personal", allowed_emails="ann@example.net", access_scope="hostname")
    well(setup.apply())
    setup.account.workers.clear()
    well(setup.run("--remove", "--apply"), "done: delete application")
    assert setup.account.apps == {}


@pytest.mark.parametrize("gone", [False, True])
def test_a_removal_that_was_interrupted(make: Make, gone: bool) -> None:
    """Also when the Worker was deleted first."""
    setup = make(**PRODUCTION, access_scope="hostname" if gone else "worker")
    well(setup.apply())
    if gone:
        setup.account.workers.clear()
    for path in ("/access/apps/", "/access/policies/", "/access/service_tokens/"):
        setup.api.denied = {f"DELETE /accounts/{setup.account.id}{path}"}
        stopped(setup.run("--remove", "--apply"), "deleting", "HTTP 403", ": Edit")
    setup.api.denied = set()
    setup.api.fail("DELETE", "/access/service_tokens/", 502, body=b"", carried_out=True)
    well(setup.run("--remove", "--apply"))
    assert counts(setup) == [1, 0, 0, 0]


def test_removing_needs_no_service_tokens_where_there_are_none(make: Make) -> None:
    setup = make(profile="personal", allowed_emails="ann@example.net", identity_provider="existing")
    setup.api.denied = {"service_tokens"}
    well(setup.run("--apply"))
    well(setup.run("--remove", "--apply"))
    assert counts(setup) == [0, 0, 0, 0]


def test_only_remove_deletes(make: Make) -> None:
    """Whatever else is asked for, no DELETE is sent."""
    setup = make(**WHOLE)
    well(setup.apply())
    setup.account.workers.clear()
    setup.worker = setup.api.worker(setup.account, "my-api")
    for words in ((), ("--renew", "my-api"), ("--rotate", "my-api"), ("--service-token", "x")):
        well(setup.apply(*words))
    methods = {one.request.method for one in setup.api.exchanges}
    assert methods == {"GET", "POST", "PUT"}
