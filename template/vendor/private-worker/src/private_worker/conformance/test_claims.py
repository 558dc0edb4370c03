"""The claims that every token needs. All tokens here have a good signature."""

import json
import time
from itertools import combinations
from typing import Any

import pytest

from private_worker.testing.access import Access
from private_worker.testing.runtime import Worker

from .lib import PROOF, Caller, let_in, refused

OTHER_AUD = "0123456789abcdef" * 4


def raw(access: Access, claims: dict[str, Any], text: Any) -> Any:
    """Headers with a token whose payload ends in `text`, which need not be what json writes."""
    return {PROOF: access.token(json.dumps(claims).encode()[:-1] + text.encode() + b"}")}


# ---------------------------------------------------------------- iss


@pytest.mark.parametrize(
    "change",
    [
        lambda issuer: issuer + "/",
        lambda issuer: issuer.upper(),
        lambda issuer: issuer.replace("https:", "http:"),
        lambda issuer: issuer.removeprefix("https://"),
        lambda issuer: issuer + ".evil.example",
        lambda issuer: "https://evil.cloudflareaccess.com",
        lambda issuer: issuer[:-1],
        lambda issuer: " " + issuer,
        lambda issuer: [issuer],
        lambda issuer: {issuer: 1},
        lambda issuer: "",
        lambda issuer: None,
        lambda issuer: True,
    ],
)
def test_other_issuer(change: Any, worker: Worker, access: Access, caller: Caller) -> None:
    """Only the team in the settings issues tokens for this Worker."""
    refused(worker, "issuer", caller(iss=change(access.team_domain)))


def test_no_issuer(worker: Worker, caller: Caller) -> None:
    refused(worker, "issuer", caller(drop=("iss",)))


# ---------------------------------------------------------------- aud


def test_audience(worker: Worker, access: Access, caller: Caller) -> None:
    """Text or a list, in which others may stand as well."""
    let_in(worker, caller(aud=access.aud))
    let_in(worker, caller(aud=[access.aud]))
    let_in(worker, caller(aud=[OTHER_AUD, access.aud]))
    let_in(worker, caller(aud=[access.aud, OTHER_AUD, OTHER_AUD]))


@pytest.mark.parametrize(
    "change",
    [
        lambda aud: OTHER_AUD,
        lambda aud: [OTHER_AUD],
        lambda aud: aud[:-1],
        lambda aud: aud[1:],
        lambda aud: aud + "0",
        lambda aud: aud.upper(),
        lambda aud: f"{aud},{OTHER_AUD}",
        lambda aud: f"{aud} {OTHER_AUD}",
        lambda aud: [f"{aud} "],
        lambda aud: list(aud),
        lambda aud: [[aud]],
        lambda aud: {aud: 1},
        lambda aud: [{aud: 1}],
        lambda aud: [aud, 7],
        lambda aud: [aud, None],
        lambda aud: [],
        lambda aud: "",
        lambda aud: [""],
        lambda aud: "*",
        lambda aud: ["*"],
        lambda aud: None,
        lambda aud: True,
        lambda aud: 0,
    ],
)
def test_other_audience(change: Any, worker: Worker, access: Access, caller: Caller) -> None:
    """Above all the token of another application of the same team."""
    refused(worker, "audience", caller(aud=change(access.aud)))


def test_no_audience(worker: Worker, caller: Caller) -> None:
    refused(worker, "audience", caller(drop=("aud",)))


# ---------------------------------------------------------------- exp, nbf, iat

NO_NUMBERS = [None, True, False, "", "9999999999", [9999999999], {"exp": 9999999999}]


def test_expiry(worker: Worker, caller: Caller) -> None:
    """Clocks may differ by half a minute."""
    now = time.time()
    for exp in (int(now) + 1, now + 1.5, int(now) - 20, now + 1e9, 2**53):
        let_in(worker, caller(exp=exp))
    for exp in (int(now) - 31, now - 31.5, int(now) - 3600, 0, -1, 1e-3, -1e300):
        refused(worker, "expired", caller(exp=exp))


def test_expiry_passes(fresh: Worker, caller: Caller) -> None:
    headers = caller(exp=int(time.time()) + 100)
    let_in(fresh, headers)
    fresh.advance(120)
    let_in(fresh, headers)
    fresh.advance(15)
    refused(fresh, "expired", headers)


@pytest.mark.parametrize("exp", NO_NUMBERS, ids=repr)
def test_expiry_is_a_number(exp: Any, worker: Worker, caller: Caller) -> None:
    refused(worker, "expired", caller(exp=exp))


def test_no_expiry(worker: Worker, caller: Caller) -> None:
    refused(worker, "expired", caller(drop=("exp",)))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400])
def test_times_are_finite(
    number: Any, name: Any, worker: Worker, access: Access, claims: dict[str, Any]
) -> None:
    """A number that never ends would make a token that never expires."""
    claims.pop(name, None)
    refused(worker, "token_payload", raw(access, claims, f',"{name}":{number}'))


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_not_before(name: Any, worker: Worker, caller: Caller) -> None:
    now = time.time()
    for value in (int(now) + 20, now - 0.5, 0, -1, now - 1e9):
        let_in(worker, caller(**{name: value}))
    for value in (int(now) + 45, now + 45.5, now + 3600, 2**53, 1e300):
        refused(worker, "not_yet_valid", caller(**{name: value}))


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("value", [*NO_NUMBERS, "0"], ids=repr)
def test_not_before_is_a_number(value: Any, name: Any, worker: Worker, caller: Caller) -> None:
    refused(worker, "not_yet_valid", caller(**{name: value}))


def test_not_before_may_be_missing(worker: Worker, caller: Caller) -> None:
    """Access leaves `nbf` out of a service token."""
    let_in(worker, caller(drop=("nbf",)))
    let_in(worker, caller(drop=("iat",)))
    let_in(worker, caller(drop=("nbf", "iat")))


def test_times_are_compared_with_the_clock(fresh: Worker, caller: Caller) -> None:
    early = caller(nbf=int(time.time()) + 100)
    refused(fresh, "not_yet_valid", early)
    fresh.advance(80)
    let_in(fresh, early)


NEEDED = {"iss": "issuer", "aud": "audience", "exp": "expired", "type": "token_type"}
OPTIONAL = ("nbf", "iat", "sub")


@pytest.mark.parametrize("size", range(1, 8))
def test_absent_claims(size: Any, worker: Worker, caller: Caller) -> None:
    """Whichever are missing, the token is refused for the first one that it needs."""
    for names in combinations((*NEEDED, *OPTIONAL), size):
        needed = [name for name in NEEDED if name in names]
        if needed:
            refused(worker, NEEDED[needed[0]], caller(drop=names))
        else:
            let_in(worker, caller(drop=names))


# ---------------------------------------------------------------- type


@pytest.mark.parametrize(
    "kind", ["org", "App", "app ", "", "apporg", None, True, 0, ["app"], {"app": 1}], ids=repr
)
def test_other_type(kind: Any, worker: Worker, caller: Caller) -> None:
    """The type org is the team's session, which every application of the team sees."""
    refused(worker, "token_type", caller(type=kind))


def test_no_type(worker: Worker, caller: Caller) -> None:
    refused(worker, "token_type", caller(drop=("type",)))


# ---------------------------------------------------------------- who it is


def test_neither_person_nor_machine(worker: Worker, caller: Caller) -> None:
    refused(worker, "identity_unclear", caller(drop=("email", "common_name")))
    refused(worker, "identity_unclear", caller(drop=("email", "common_name", "sub")))


@pytest.mark.parametrize("email", ["person@example.com", "", None], ids=repr)
@pytest.mark.parametrize(
    "common_name", ["0123456789abcdef0123456789abcdef.access", "", None], ids=repr
)
def test_both_person_and_machine(
    email: Any, common_name: Any, worker: Worker, access: Access, claims: dict[str, Any]
) -> None:
    """However little of the second one there is, and whatever the lists say."""
    both = {**claims, "email": email, "common_name": common_name}
    for sub in ("", claims["sub"]):
        refused(worker, "identity_unclear", {PROOF: access.token({**both, "sub": sub})})


def test_other_claims_name_nobody(worker: Worker, access: Access, claims: dict[str, Any]) -> None:
    claims.pop("email", None)
    claims.pop("common_name", None)
    claims |= {
        "sub": "person@example.com",
        "name": "person@example.com",
        "upn": "person@example.com",
        "preferred_username": "person@example.com",
        "Email": "person@example.com",
        "custom": {"email": "person@example.com", "common_name": "x.access"},
        "service_token_id": "0123456789abcdef0123456789abcdef.access",
    }
    refused(worker, "identity_unclear", {PROOF: access.token(claims)})
