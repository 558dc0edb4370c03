"""Which answers go together: one table of rules, written without looking at copier.yml.

A shape is one answer to each decisive question. `None` means that the question has no meaning for
the rest of the shape, so that it is not asked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from inspect import signature
from itertools import combinations, product
from typing import Any

Shape = dict[str, Any]

HUMAN, MACHINE, BINDING = "human", "machine", "binding"

PARAMETERS: dict[str, tuple[Any, ...]] = {
    "profile": ("personal", "production", "internal", "custom"),
    "callers": tuple(
        group for size in (1, 2, 3) for group in combinations((HUMAN, MACHINE, BINDING), size)
    ),
    "exposure": ("workers_dev", "custom_domain", "route", "none"),
    "access_scope": ("worker", "hostname", None),
    "preview_urls": (False, True, None),
    "identity_provider": ("otp", "cloudflare", "existing", None),
    "binding_style": ("rpc", "fetch", "both", None),
    "framework": ("plain", "fastapi", None),
    # Whether people may log in agents.
    "agents": (False, True, None),
    "upstreams": (0, 1, 2),
    "ci": ("github", "gitlab", "none"),
    "ops": (True, False),
    "staging": (False, True),
    # Whether the values that only the account owner knows are given.
    "filled": (False, True),
    "limited": (False, True),
}


@dataclass(frozen=True)
class Rule:
    """`why` says what would be wrong if `holds`, a function of some answers, were false."""

    why: str
    holds: Callable[..., bool]

    @cached_property
    def needs(self) -> tuple[str, ...]:
        return tuple(signature(self.holds).parameters)


RULES = (
    Rule(
        "a personal Worker is for people only",
        lambda profile, callers: profile != "personal" or callers == (HUMAN,),
    ),
    Rule(
        "a production Worker is for people and programs",
        lambda profile, callers: profile != "production" or BINDING not in callers,
    ),
    Rule(
        "an internal Worker is for other Workers only",
        lambda profile, callers: profile != "internal" or callers == (BINDING,),
    ),
    Rule(
        "without an address neither people nor programs get in",
        lambda callers, exposure: exposure != "none" or callers == (BINDING,),
    ),
    Rule(
        "an address that nobody may use is only a risk",
        lambda callers, exposure: exposure == "none" or callers != (BINDING,),
    ),
    Rule(
        "a personal Worker is on workers.dev",
        lambda profile, exposure: profile != "personal" or exposure == "workers_dev",
    ),
    Rule(
        "a production Worker is on a custom domain",
        lambda profile, exposure: profile != "production" or exposure == "custom_domain",
    ),
    Rule(
        "an Access application protects an address",
        lambda exposure, access_scope: (exposure == "none") == (access_scope is None),
    ),
    Rule(
        "previews are behind an application on the whole Worker",
        lambda access_scope, preview_urls: (access_scope == "worker") == (preview_urls is not None),
    ),
    Rule(
        "only people log in",
        lambda callers, identity_provider: (HUMAN in callers) == (identity_provider is not None),
    ),
    Rule(
        "only bindings have a style",
        lambda callers, binding_style: (BINDING in callers) == (binding_style is not None),
    ),
    Rule(
        "a framework is for requests, not for RPC",
        lambda callers, binding_style, framework: (
            (callers == (BINDING,) and binding_style == "rpc") == (framework is None)
        ),
    ),
    Rule(
        "an agent is logged in by a person, where Access protects a hostname",
        lambda callers, access_scope, agents: (
            (HUMAN in callers and access_scope == "hostname") == (agents is not None)
        ),
    ),
)


def broken(partial: Mapping[str, Any]) -> list[str]:
    """Why these answers do not go together; empty when they do, as far as they are known."""
    return [
        rule.why
        for rule in RULES
        if all(name in partial for name in rule.needs)
        and not rule.holds(*(partial[name] for name in rule.needs))
    ]


# Those that no rule looks at: each value goes with every shape.
FREE = {
    name: values
    for name, values in PARAMETERS.items()
    if not any(name in rule.needs for rule in RULES)
}
assert list(PARAMETERS)[-len(FREE) :] == list(FREE)

Answer = tuple[str, Any]
Pair = tuple[Answer, Answer]


@cache
def _bound() -> list[tuple[Answer, ...]]:
    """All valid combinations of the answers that rules look at."""

    def extend(partial: Shape, names: list[str]) -> Iterator[tuple[Answer, ...]]:
        if not names:
            yield tuple(partial.items())
            return
        for value in PARAMETERS[names[0]]:
            longer = {**partial, names[0]: value}
            if not broken(longer):
                yield from extend(longer, names[1:])

    return list(extend({}, [name for name in PARAMETERS if name not in FREE]))


def _every() -> Iterator[Shape]:
    for bound in _bound():
        for values in product(*FREE.values()):
            yield {**dict(bound), **dict(zip(FREE, values, strict=True))}


def every_shape() -> list[Shape]:
    """All valid combinations."""
    return list(_every())


def pairs(shape: Shape) -> set[Pair]:
    """Every two answers of a shape."""
    return set(combinations(shape.items(), 2))


@cache
def valid_pairs() -> frozenset[Pair]:
    """Every two answers that occur together in some valid combination."""
    free = [(name, value) for name, values in FREE.items() for value in values]
    found = {(one, other) for one, other in combinations(free, 2) if one[0] != other[0]}
    for bound in _bound():
        found.update(combinations(bound, 2), product(bound, free))
    return frozenset(found)


@cache
def selection() -> list[Shape]:
    """A few dozen shapes that hold every valid pair of answers: always the one with most new pairs.

    Sets of pairs are numbers with a bit for each pair, which makes it a matter of milliseconds.
    """
    bit = {pair: 1 << place for place, pair in enumerate(valid_pairs())}

    def bits(some: Iterable[Pair]) -> int:
        return sum(bit[pair] for pair in some)

    inside = {bound: bits(combinations(bound, 2)) for bound in _bound()}
    beside = {
        bound: [
            [bits((answer, (name, value)) for answer in bound) for value in FREE[name]]
            for name in FREE
        ]
        for bound in _bound()
    }
    missing = bits(bit)

    def gain(bound: tuple[Answer, ...]) -> int:
        best = (max((mask & missing).bit_count() for mask in masks) for masks in beside[bound])
        return (inside[bound] & missing).bit_count() + sum(best)

    chosen = []
    while missing:
        answers = max(_bound(), key=gain)
        for name, values in FREE.items():
            new = [bits((answer, (name, value)) for answer in answers) for value in values]
            best = max(range(len(values)), key=lambda n: (new[n] & missing).bit_count())
            answers = (*answers, (name, values[best]))
        missing &= ~bits(combinations(answers, 2))
        chosen.append(dict(answers))
    return chosen


TEAM = "acme-labs"
AUD = "5e1f0ce3" * 8
STAGING_AUD = "57a91c6d" * 8
EMAILS = ("ann@example.net", "bob.jones@example.org")
DOMAIN = "@staff.example.org"  # all of its people; releases before v0.3 refuse it
CLIENT_IDS = ("00112233445566778899aabbccddeeff.access",)
CALLING_WORKERS = ("gateway", "nightly-job")
UPSTREAMS = ("billing", "stock-levels")
LIMIT = 300
REDIRECT_URI = "https://agent.example.net/oauth/callback"
SERVICE_ID = "0199295b-b3ac-7760-8246-bca40877b3e9"


def answers(shape: Shape, domain: bool = True) -> dict[str, Any]:
    """A shape as answers for Copier. What is not asked is left out.

    domain: whether a whole domain is among the addresses.
    """
    given = {name: value for name, value in shape.items() if value is not None}
    filled = given.pop("filled")
    if given.pop("limited"):
        given["requests_per_minute"] = str(LIMIT)
    if given.pop("agents", False):
        given["agents"] = ["claude" if filled else "local", "other"]
        if filled:
            given["agent_redirect_uris"] = REDIRECT_URI
    given["callers"] = list(shape["callers"])
    names = UPSTREAMS[: shape["upstreams"]]
    given["upstreams"] = ", ".join(f"{name}={SERVICE_ID}" if filled else name for name in names)
    if filled:
        if shape["exposure"] != "none":
            given |= {"team_domain": TEAM, "policy_aud": AUD}
            if shape["staging"]:
                given["staging_policy_aud"] = STAGING_AUD
        if shape["exposure"] == "custom_domain":
            given["hostname"] = "invoices.example.net"
        if shape["exposure"] == "route":
            given |= {"zone_name": "example.net", "route_pattern": "www.example.net/invoices/*"}
        if HUMAN in shape["callers"]:
            given["allowed_emails"] = ", ".join([*EMAILS, *[DOMAIN] * domain])
        if MACHINE in shape["callers"]:
            given["allowed_service_tokens"] = ", ".join(CLIENT_IDS)
        if BINDING in shape["callers"]:
            given["calling_workers"] = ", ".join(CALLING_WORKERS)
    return given


def name_of(shape: Shape) -> str:
    """A short name for test ids."""
    callers = "".join(caller[0] for caller in shape["callers"])
    more = [shape["binding_style"], shape["framework"], shape["access_scope"], shape["ci"]]
    flags = ["previews"] * bool(shape["preview_urls"]) + ["filled"] * shape["filled"]
    flags += ["no-ops"] * (not shape["ops"]) + ["staging"] * shape["staging"]
    flags += ["limited"] * shape["limited"] + ["agents"] * bool(shape["agents"])
    parts = [shape["profile"], callers, shape["exposure"], *filter(None, more), *flags]
    return "-".join([*parts, str(shape["identity_provider"]), f"{shape['upstreams']}up"])


def make(**given: Any) -> Shape:
    """A shape from the answers that matter; the rest as simple as it can be."""
    for shape in _every():
        if all(shape[name] == value for name, value in given.items()):
            return shape
    raise ValueError(f"no valid shape has {given}")


@cache
def of_interest() -> dict[str, Shape]:
    """Distinct shapes for the tests that run a whole project or wrangler.

    Those with programs have the scope that is their default, but for "everybody", who chose.
    """
    custom = {"profile": "custom", "ci": "none"}
    return {
        "personal": make(profile="personal", filled=False),
        "production": make(
            profile="production",
            callers=(HUMAN, MACHINE),
            access_scope="hostname",
            upstreams=1,
            filled=True,
            ci="github",
        ),
        "internal-rpc": make(
            profile="internal",
            binding_style="rpc",
            upstreams=2,
            filled=True,
            staging=True,
            limited=True,
        ),
        "internal-fetch": make(
            profile="internal", binding_style="fetch", framework="plain", upstreams=1
        ),
        "internal-both-fastapi": make(
            profile="internal", binding_style="both", framework="fastapi", filled=True
        ),
        "machines-on-a-route": make(
            profile="custom",
            ci="gitlab",
            callers=(MACHINE,),
            exposure="route",
            access_scope="hostname",
            filled=True,
            staging=True,
        ),
        "people-with-previews": make(
            **custom,
            callers=(HUMAN,),
            exposure="workers_dev",
            preview_urls=True,
            upstreams=2,
            filled=True,
        ),
        "everybody": make(
            **custom,
            staging=True,
            callers=(HUMAN, MACHINE, BINDING),
            exposure="custom_domain",
            preview_urls=True,
            binding_style="both",
            framework="plain",
            upstreams=2,
            filled=True,
            limited=True,
        ),
        "everybody-fastapi": make(
            **custom,
            callers=(HUMAN, MACHINE, BINDING),
            exposure="workers_dev",
            access_scope="hostname",
            binding_style="both",
            framework="fastapi",
            upstreams=1,
            filled=True,
        ),
        "hostname-application": make(
            **custom,
            callers=(HUMAN, BINDING),
            exposure="route",
            access_scope="hostname",
            limited=True,
        ),
        "agents": make(
            **custom,
            callers=(HUMAN, MACHINE, BINDING),
            exposure="route",
            access_scope="hostname",
            binding_style="both",
            framework="plain",
            agents=True,
            upstreams=1,
            filled=True,
        ),
    }
