"""Whatever is wrong with the settings closes the Worker, for everybody and without a key fetch."""

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from private_worker.testing.access import MACHINE, PERSON, Access
from private_worker.testing.runtime import Worker

from .lib import Caller, Load, let_in, not_configured, only, refused, shape

ACME = "https://acme.cloudflareaccess.com"
LOCAL = "http://127.0.0.1:8788"
LONGEST = "a" + "-" * 61 + "z"
TAGS = ["0123456789abcdef" * 4, "fedcba9876543210" * 4]
MISSING = object()
PEOPLE, MACHINES = "ALLOWED_EMAILS", "ALLOWED_SERVICE_TOKENS"
LISTS = [name for name, there in ((PEOPLE, shape().humans), (MACHINES, shape().machines)) if there]
NEEDED = ["TEAM_DOMAIN", "POLICY_AUD", *LISTS]
# Somebody who may come in, and somebody else.
MEMBERS = {PEOPLE: (PERSON, "other@example.com"), MACHINES: (MACHINE, "other.access")}

TEAM_SPELLINGS = {
    "acme": ACME,
    "ACME": ACME,
    "acme/": ACME,
    "acme.cloudflareaccess.com": ACME,
    "Acme.CloudflareAccess.com": ACME,
    "acme.cloudflareaccess.com/": ACME,
    "https://acme.cloudflareaccess.com": ACME,
    "https://acme.cloudflareaccess.com/": ACME,
    "https://acme.cloudflareaccess.com///": ACME,
    "HTTPS://ACME.CLOUDFLAREACCESS.COM/": ACME,
    "a": "https://a.cloudflareaccess.com",
    "7": "https://7.cloudflareaccess.com",
    "a-b--c": "https://a-b--c.cloudflareaccess.com",
    LONGEST: f"https://{LONGEST}.cloudflareaccess.com",
    "http://127.0.0.1": "http://127.0.0.1",
    "http://127.0.0.1:8788": "http://127.0.0.1:8788",
    "http://127.0.0.1:8788/": "http://127.0.0.1:8788",
    "http://localhost": "http://localhost",
    "http://localhost:1": "http://localhost:1",
    "http://localhost:65535//": "http://localhost:65535",
    "HTTP://LOCALHOST:8788": "http://localhost:8788",
}

BAD_TEAMS = [
    MISSING,
    None,
    "",
    " ",
    "\t\n",
    7,
    True,
    ["acme"],
    {"team": "acme"},
    "REPLACE_WITH_TEAM_DOMAIN",
    "https://REPLACE_WITH_TEAM_DOMAIN.cloudflareaccess.com",
    "replace_with_team_domain",
    "your-team",
    "https://your-team.cloudflareaccess.com",
    # another form of URL
    "http://acme.cloudflareaccess.com",
    "ftp://acme.cloudflareaccess.com",
    "//acme.cloudflareaccess.com",
    "https:acme.cloudflareaccess.com",
    "https:/acme.cloudflareaccess.com",
    "https:///acme.cloudflareaccess.com",
    "https://https://acme.cloudflareaccess.com",
    "https://acme",
    "https://acme.cloudflareaccess.com/foo",
    "https://ACME.cloudflareaccess.com/foo",
    "https://acme.cloudflareaccess.com//foo",
    "https://acme.cloudflareaccess.com/cdn-cgi/access/certs",
    "https://acme.cloudflareaccess.com?x=1",
    "https://acme.cloudflareaccess.com/?x=1",
    "https://acme.cloudflareaccess.com#x",
    "https://acme.cloudflareaccess.com:443",
    "https://acme.cloudflareaccess.com:8443/",
    "acme:443",
    "https://user@acme.cloudflareaccess.com",
    "https://user:password@acme.cloudflareaccess.com",
    "https://acme.cloudflareaccess.com@evil.example",
    "https://evil.example\\@acme.cloudflareaccess.com",
    # another host
    "https://example.com",
    "example.com",
    "https://cloudflareaccess.com",
    ".cloudflareaccess.com",
    "https://acme.cloudflareaccess.com.evil.example",
    "https://acme.cloudflareaccess.com.",
    "https://acme.cloudflareaccess.comx",
    "https://acmecloudflareaccess.com",
    "https://acme-cloudflareaccess.com",
    "https://acmexcloudflareaccessxcom",
    "https://evil.example/acme.cloudflareaccess.com",
    "https://evil.example#.cloudflareaccess.com",
    "https://evil.example?.cloudflareaccess.com",
    "https://evil.example%2f.cloudflareaccess.com",
    # more or less than one DNS label
    "a.b",
    "https://a.b.cloudflareaccess.com",
    "https://.cloudflareaccess.com",
    "-acme",
    "acme-",
    "https://acme-.cloudflareaccess.com",
    "https://*.cloudflareaccess.com",
    "*",
    "a" * 64,
    "ac_me",
    "ac me",
    "acme,other",
    " acme",
    "acme ",
    "acme\n",
    "https://acme.cloudflareaccess.com\n",
    "https://acme.cloudflareaccess.com\x00",
    "ac%6de",
    # letters that become ASCII when their case is changed, or look like it
    "\u212aelvin",
    "https://\u212aelvin.cloudflareaccess.com",
    "\u0130stanbul",
    "https://acme.cloudflareacces\u017f.com",
    "b\u00fccher",
    "\u0430cme",
    "\uff41cme",
    "acme\u3002cloudflareaccess\u3002com",
    # not this machine, or no port there
    "http://127.0.0.1:0",
    "http://127.0.0.1:65536",
    "http://127.0.0.1:",
    "http://127.0.0.1:http",
    "http://127.0.0.1:-1",
    "http://127.0.0.1/x",
    "http://127.0.0.1:8788?x",
    "http://user@127.0.0.1",
    "http://127.0.0.1@evil.example",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.2",
    "http://0.0.0.0",
    "http://10.0.0.1",
    "http://localhost.evil.example",
    "http://notlocalhost",
    "https://127.0.0.1",
    "https://localhost:8788",
    "http://[::1]:8788",
    "http://example.com",
]

BAD_AUDIENCES = [
    MISSING,
    None,
    "",
    " ",
    [],
    [""],
    7,
    {"aud": TAGS[0]},
    [None],
    [[TAGS[0]]],
    "REPLACE_WITH_AUD_TAG",
    ["REPLACE_WITH_AUD_TAG"],
    [TAGS[0], "replace_with_another"],
    "*",
    ["*"],
    TAGS[0][:63],
    TAGS[0] + "0",
    "g" + TAGS[0][1:],
    "\uff10" + TAGS[0][1:],
    [TAGS[0] + "\n"],
    TAGS[0] + " " + TAGS[1],
    TAGS[0] + ",",
    "," + TAGS[0],
    f"{TAGS[0]},,{TAGS[1]}",
    [TAGS[0], ""],
    [TAGS[0], TAGS[1][:63]],
    [TAGS[0], 7],
]


def verdict(worker: Worker, inside: dict[str, Any], **changes: Any) -> Any:
    """What `settings.load` makes of vars that are fine but for these: the issuer or the bad var."""
    fine = {"TEAM_DOMAIN": ACME, "POLICY_AUD": TAGS, **dict.fromkeys(LISTS, ["*"])}
    variables = {name: value for name, value in (fine | changes).items() if value is not MISSING}
    headers = {**inside["headers"], "Content-Type": "application/json"}
    body = json.dumps(variables)
    answer = worker.fetch("/settings", method="POST", headers=headers, body=body).json()
    return answer.get("issuer") or answer["setting"]


def spelled(value: Any) -> Any:
    return "missing" if value is MISSING else ascii(value)[:60]


def with_var(load: Load, name: Any, value: Any, **more: Any) -> Any:
    return load(drop=(name,), **more) if value is MISSING else load(**{name: value}, **more)


@pytest.mark.parametrize(("spelling", "issuer"), TEAM_SPELLINGS.items(), ids=spelled)
def test_team_domain_is_normalised(
    spelling: Any, issuer: Any, worker: Worker, inside: dict[str, Any]
) -> None:
    assert verdict(worker, inside, TEAM_DOMAIN=spelling) == issuer


@pytest.mark.parametrize(
    ("spelling", "issuer"),
    [("acme", ACME), ("ACME.cloudflareaccess.com/", ACME), (ACME + "//", ACME), (LOCAL, LOCAL)],
)
def test_normalised_team_domain_is_in_force(
    spelling: Any, issuer: Any, load: Load, access: Access, caller: Caller
) -> None:
    """Not only looked at: it is the issuer of tokens and the origin of the keys."""
    worker = load(TEAM_DOMAIN=spelling, routes={issuer: access.url})
    url = "http://localhost/" if issuer == LOCAL else "/"
    let_in(worker, caller(iss=issuer), url)
    refused(worker, "issuer", caller(iss=issuer + "/"), url)
    assert [sent["url"] for sent in worker.outbound] == [f"{issuer}/cdn-cgi/access/certs"]


@pytest.mark.parametrize("value", BAD_TEAMS, ids=spelled)
def test_bad_team_domain(value: Any, worker: Worker, inside: dict[str, Any]) -> None:
    """No path, no other host, no other spelling: it names the issuer and where the keys are."""
    assert verdict(worker, inside, TEAM_DOMAIN=value) == "TEAM_DOMAIN"


@pytest.mark.parametrize(
    "value",
    [MISSING, None, "", " ", 7, ["acme"], "REPLACE_WITH_TEAM_DOMAIN", ACME + "/foo", "\u212aelvin"],
    ids=spelled,
)
def test_bad_team_domain_closes_the_worker(value: Any, load: Load, caller: Caller) -> None:
    not_configured(with_var(load, "TEAM_DOMAIN", value), "TEAM_DOMAIN", caller())


@pytest.mark.parametrize(
    "value",
    [TAGS[0], TAGS[0].upper(), TAGS, ",".join(TAGS), f" {TAGS[1]} , {TAGS[0]} "],
    ids=["tag", "upper case", "list", "commas", "commas and spaces"],
)
def test_audiences(value: Any, load: Load, caller: Caller, access: Access) -> None:
    worker = load(POLICY_AUD=value)
    let_in(worker, caller(aud=[TAGS[0]]))
    refused(worker, "audience", caller(aud=[access.aud]))


@pytest.mark.parametrize("value", [TAGS, ",".join(TAGS)], ids=["list", "commas"])
def test_every_audience_of_several_counts(value: Any, load: Load, caller: Caller) -> None:
    worker = load(POLICY_AUD=value)
    for tag in TAGS:
        let_in(worker, caller(aud=[tag]))


@pytest.mark.parametrize("value", BAD_AUDIENCES, ids=spelled)
def test_bad_audience(value: Any, worker: Worker, inside: dict[str, Any]) -> None:
    """Without an audience, tokens of every application of the team would do."""
    assert verdict(worker, inside, POLICY_AUD=value) == "POLICY_AUD"


@pytest.mark.parametrize(
    "value", [MISSING, None, "", " ", [], [""], 7, "REPLACE_WITH_IT", TAGS[0][:63]], ids=spelled
)
def test_bad_audience_closes_the_worker(value: Any, load: Load, caller: Caller) -> None:
    """Also for a token whose audience is the same nonsense."""
    worker = with_var(load, "POLICY_AUD", value)
    not_configured(worker, "POLICY_AUD", caller())
    not_configured(worker, "POLICY_AUD", caller(aud=None if value is MISSING else value))
    not_configured(worker, "POLICY_AUD", caller(drop=("aud",)))
    not_configured(worker, "POLICY_AUD", access={"aud": "", "identity": None})


def test_any_audience_for_local_work(load: Load, access: Access, caller: Caller) -> None:
    worker = load(TEAM_DOMAIN=LOCAL, POLICY_AUD="local", routes={LOCAL: access.url})
    let_in(worker, caller(iss=LOCAL, aud="local"), "http://localhost/")
    refused(worker, "audience", caller(iss=LOCAL), "http://localhost/")


@pytest.mark.parametrize(
    "value", [MISSING, None, "", " ", [], [""], "REPLACE_WITH_X", "replace_with_x", 7], ids=spelled
)
def test_no_audience_for_local_work(value: Any, worker: Worker, inside: dict[str, Any]) -> None:
    assert verdict(worker, inside, TEAM_DOMAIN=LOCAL, POLICY_AUD=value) == "POLICY_AUD"


def headers_of_a_member(access: Access, name: Any) -> Any:
    good, _ = MEMBERS[name]
    return access.person(good) if name == PEOPLE else access.machine(good)


def good_lists() -> Iterator[Any]:
    for name in LISTS:
        good, other = MEMBERS[name]
        values = ([good], good, [other, good], f"{other} , {good}", ["*"], "*")
        yield from ((name, value) for value in values)


@pytest.mark.parametrize(("name", "value"), list(good_lists()))
def test_allowed(name: Any, value: Any, load: Load, access: Access) -> None:
    let_in(load(**{name: value}), headers_of_a_member(access, name))


BAD_MEMBERS = {
    PEOPLE: [
        "REPLACE_WITH_YOUR_EMAIL",
        [PERSON, "REPLACE_WITH_YOUR_EMAIL"],
        "person",
        "@example.com",
        "person@",
        "person@example",
        "person@@example.com",
        "per son@example.com",
        "person@example.com other@example.com",
        "person@example.com;other@example.com",
        ["person@example.com,other@example.com"],
        "Person <person@example.com>",
        "person@example..com",
        "person@.example.com",
    ],
    MACHINES: [
        "REPLACE_WITH_CLIENT_ID",
        [MACHINE, "REPLACE_WITH_CLIENT_ID"],
        "0123456789abcdef0123456789abcdef",
        ".access",
        "0123.access.example",
        ["0123.access\n"],
        "01 23.access",
        [f"{MACHINE},{MACHINE}"],
        "*.access",
        "person@example.access",
    ],
}


def bad_lists() -> Iterator[Any]:
    for name in LISTS:
        good, _ = MEMBERS[name]
        no_list = [MISSING, None, "", " ", 7, True, {good: True}]
        no_member = [[""], [None], [7], [[good]], good + ",", [good, ""]]
        yield from ((name, value) for value in (*no_list, *no_member, *BAD_MEMBERS[name]))


@pytest.mark.parametrize(("name", "value"), list(bad_lists()), ids=spelled)
def test_bad_list(name: Any, value: Any, worker: Worker, inside: dict[str, Any]) -> None:
    assert verdict(worker, inside, **{name: value}) == name


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("value", [MISSING, None, "", [""], 7, ["REPLACE_WITH_IT"]], ids=spelled)
def test_bad_list_closes_the_worker(value: Any, name: Any, load: Load, access: Access) -> None:
    not_configured(with_var(load, name, value), name, headers_of_a_member(access, name))


@only(shape().humans and shape().machines)
def test_either_list_may_be_empty(load: Load, access: Access) -> None:
    """An empty list is nobody, and no list stands in for the other."""
    people_only = load(ALLOWED_SERVICE_TOKENS=[])
    let_in(people_only, access.person())
    refused(people_only, "not_allowed", access.machine())
    machines_only = load(ALLOWED_EMAILS=[])
    let_in(machines_only, access.machine())
    refused(machines_only, "not_allowed", access.person())


def test_nobody_is_allowed(load: Load, caller: Caller) -> None:
    nobody: dict[str, Any] = dict.fromkeys(LISTS, [])
    worker = load(**nobody)
    not_configured(worker, LISTS[0], caller())


@pytest.mark.parametrize("proof", ["header", "context", "nothing"])
def test_no_setting_at_all(proof: Any, load: Load, access: Access, caller: Caller) -> None:
    """Not configured is closed, whatever proof comes along."""
    names = ("TEAM_DOMAIN", "POLICY_AUD", "ALLOWED_EMAILS", "ALLOWED_SERVICE_TOKENS")
    context = {"aud": access.aud, "identity": {"email": "person@example.com"}}
    not_configured(
        load(drop=names),
        "TEAM_DOMAIN",
        caller() if proof == "header" else None,
        access=context if proof == "context" else None,
    )


@pytest.mark.parametrize(
    "missing",
    [names for size in range(1, len(NEEDED) + 1) for names in combinations(NEEDED, size)],
    ids=" ".join,
)
def test_some_settings_are_missing(
    missing: Any, load: Load, access: Access, caller: Caller
) -> None:
    """Some of them are as good as none."""
    worker = load(drop=missing)
    context = {"aud": access.aud, "identity": {"email": "person@example.com"}}
    not_configured(worker, missing[0], caller())
    not_configured(worker, missing[0], access=context)
    not_configured(worker, missing[0])


@pytest.mark.parametrize(
    "value", ["1", "true", True, "development", "test", "local", "*", "person@example.com"]
)
def test_no_variable_opens_the_worker(value: Any, load: Load, caller: Caller) -> None:
    """Whatever such variables are called elsewhere, none of them exists here."""
    names = (
        *("DEV", "DEBUG", "TEST", "TESTING", "LOCAL", "ENV", "ENVIRONMENT", "NODE_ENV", "MODE"),
        *("DEV_MODE", "DEV_BYPASS", "BYPASS", "BYPASS_AUTH", "SKIP_AUTH", "NO_AUTH", "INSECURE"),
        *("DISABLE_AUTH", "AUTH_DISABLED", "ACCESS_DISABLED", "PUBLIC", "ALLOW_ALL", "PYTEST"),
        *("APP_ENV", "PYTHON_ENV", "WORKER_ENV", "STAGE", "CI", "E2E_TEST_MODE", "DEV_AUTH"),
        *("DEV_USER", "DEV_EMAIL", "DEV_USER_EMAIL", "MOCK_USER", "MOCK_AUTH", "TEST_USER"),
        *("SKIP_ACCESS", "DISABLE_ACCESS", "ACCESS_BYPASS", "REQUIRE_AUTH", "AUTH_ENABLED"),
        *("AUTH_MODE", "VERIFY", "SKIP_VERIFY", "VERIFY_SIGNATURE", "TRUST_PROXY", "MINIFLARE"),
    )
    extra = {name: value for name in names}
    open_to_nobody = load(**extra)
    refused(open_to_nobody, "no_proof")
    refused(open_to_nobody, "audience", caller(aud="local"))
    refused(open_to_nobody, "audience", access={"aud": "local", "identity": {"email": value}})
    not_configured(load(drop=("TEAM_DOMAIN",), **extra), "TEAM_DOMAIN")
    not_configured(load(drop=("POLICY_AUD",), **extra), "POLICY_AUD")


def test_settings_in_force_are_those_of_this_version(
    load: Load, access: Access, caller: Caller
) -> None:
    """A token that the last version knew is nothing to a version with other settings."""
    headers = caller()
    let_in(load(), headers)
    refused(load(POLICY_AUD=TAGS), "audience", headers)
