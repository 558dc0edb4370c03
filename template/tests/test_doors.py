# Managed by the private-worker template: do not edit, an update replaces it.
"""Every door of this Worker is closed to strangers, whatever your API does.

`uv run pytest` runs these few tests with yours, on your own src/. The guard's whole suite is
`npm run test:guard`.
"""

import json
import re
from pathlib import Path

import pytest

from private_worker.project import read
from private_worker.testing.access import PERSON
from private_worker.testing.runtime import RpcError

ROOT = Path(__file__).parents[1]
SHAPE = read(ROOT).shape
PROOF = "Cf-Access-Jwt-Assertion"  # the header with Access's token
CALLER = {"caller": "caller"}  # props of the Worker that may call in tests
DOORS = ["Default", "Internal"] if SHAPE.binding else ["Default"]
SETTINGS = ["TEAM_DOMAIN", "POLICY_AUD"] if SHAPE.edge else []
SETTINGS += ["ALLOWED_EMAILS"] if SHAPE.humans else []
SETTINGS += ["ALLOWED_SERVICE_TOKENS"] if SHAPE.machines else []
SETTINGS += ["ALLOWED_WORKERS"] if SHAPE.binding else []

# /docs and /openapi.json are FastAPI's own. SHAPE.base is the path in front of a route's others.
PATHS = ("/", "/health", "/docs", "/openapi.json", "/cdn-cgi/access/certs", f"{SHAPE.base}/x")
# What the runtime calls when something happens, and what Python gives to every object.
NOT_METHODS = ("email", "tail", "alarm", "env", "ctx", "__init__")
NOT_METHODS += ("__setattr__", "__getattribute__", "__class__", "_call")
# Every word in src/internal.py: some of them name your methods. `fetch` is the way of requests, and
# the others every object has, which the guard refuses without asking for settings.
INTERNAL = (ROOT / "src/internal.py").read_text(encoding="utf-8") if SHAPE.rpc else ""
WORDS = set(re.findall(r"\w+", INTERNAL)) - {"fetch", "constructor", "copy", "destroy"}


def member(access, **changes):
    """Headers of somebody who may come in; `changes` spoil their token."""
    return access.person(**changes) if SHAPE.humans else access.machine(**changes)


def unsigned(access):
    token = member(access, header={**access.header(), "alg": "none"})[PROOF]
    return {PROOF: token.rpartition(".")[0] + "."}


STRANGERS = {
    "nothing": lambda access: {},
    "another key": lambda access: member(access, header=access.header(), key=access.stranger),
    "no signature": unsigned,
    "another application": lambda access: member(access, aud=["0" * 64]),
    "another team": lambda access: member(access, iss="https://other.cloudflareaccess.com"),
    "an expired token": lambda access: member(access, exp=1),
    "a cookie": lambda access: {"Cookie": f"CF_Authorization={member(access)[PROOF]}"},
    "an address": lambda access: {"Cf-Access-Authenticated-User-Email": PERSON},
}
if not SHAPE.edge:  # public HTTP leads nowhere, so the best of proofs is none
    STRANGERS = {"nothing": STRANGERS["nothing"], "a good token": member}


def decisions(worker):
    """What the guard decided since the Worker was loaded. It comes before anything of yours."""
    lines = [json.loads(line) for line in worker.logs if '"event": "guard"' in line]
    return {line["decision"] for line in lines}


def answers_of_internal(worker, props):
    """The errors that another Worker gets: from requests, and from calls of all WORDS."""
    found = set()
    for path in PATHS if SHAPE.bound_fetch else ():
        found.add(worker.fetch(path, entrypoint="Internal", props=props).json().get("error"))
    for word in WORDS:
        try:
            found.add(worker.call(word, props=props).get("error"))
        except RpcError:
            pass  # it names no method
    return found


@pytest.mark.parametrize("proof", STRANGERS)
def test_public_door_is_closed_to_strangers_with(proof, worker, access):
    for path in PATHS:
        for method in ("GET", "POST", "OPTIONS"):
            answer = worker.fetch(path, method=method, headers=STRANGERS[proof](access))
            assert (answer.status, answer.json()) == (403, {"error": "forbidden"})
    assert decisions(worker) == {"refuse"}


def test_made_up_events_are_refused(worker):
    """Another Worker that binds to a door can call `scheduled` and `queue`, if you have them."""
    for name in ("scheduled", "queue"):
        try:
            answer = worker.call(name, {"cron": "* * * * *"}, entrypoint="Default", props=CALLER)
        except RpcError:
            continue  # src/events.py has no such function
        assert answer == {"ok": False, "error": "forbidden"}
    assert decisions(worker) <= {"refuse"}


@pytest.mark.parametrize("door", DOORS)
def test_only_requests_and_methods_reach(door, worker):
    """Nothing else can be called, and nobody gives a door an `env` of their own."""
    for name in NOT_METHODS if door == "Internal" else (*NOT_METHODS, *WORDS, "handle", "serve"):
        try:
            answer = worker.call(name, {}, entrypoint=door, props=CALLER)
        except RpcError:
            continue  # there is nothing of that name
        assert answer == {"ok": False, "error": "forbidden"}
    assert decisions(worker) <= {"refuse"}


@pytest.mark.parametrize("instead", ["", "REPLACE_WITH_IT"], ids=["missing", "a placeholder"])
def test_closed_while_a_setting_is(instead, worker, access):
    env = worker.env
    for name in SETTINGS:
        others = {key: value for key, value in env.items() if key != name}
        worker.load(env={**others, name: instead} if instead else others)
        if name == "ALLOWED_WORKERS":
            assert answers_of_internal(worker, CALLER) <= {"not_configured"}
        else:
            answer = worker.fetch(headers=member(access))
            assert (answer.status, answer.json()) == (500, {"error": "not_configured"})


if SHAPE.binding:

    @pytest.mark.parametrize("props", [None, {"caller": "other"}], ids=["no name", "another name"])
    def test_inner_door_is_closed_to_workers_with(props, worker):
        assert answers_of_internal(worker, props) <= {"forbidden"}


if SHAPE.serves:

    def test_they_open_to_whoever_may_come_in(worker, access):
        """Otherwise the tests above would prove nothing."""
        if SHAPE.edge:
            worker.fetch(headers=member(access))
        if SHAPE.bound_fetch:
            worker.fetch(entrypoint="Internal", props=CALLER)
        assert decisions(worker) == {"allow"}
