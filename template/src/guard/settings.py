# Managed by the private-worker template: do not edit, an update replaces it.
"""The guard's settings, read from the Worker's vars. Whatever is wrong with them closes the Worker.

`load` is a pure function: the same vars always give the same `Settings` or the same
`NotConfigured`. There is no default that lets anybody in, and no variable that turns a check off.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from . import roles, who
from .refusal import NotConfigured
from .shape import HUMANS, MACHINES
from .values import ANYONE, CLIENT_ID, DOMAIN, EMAIL, LABEL, domain_of, fold, strings, text_of

VARIABLES = (
    "TEAM_DOMAIN",
    "POLICY_AUD",
    "ALLOWED_EMAILS",
    "ALLOWED_SERVICE_TOKENS",
    "ROLES",  # this one and those below are optional
    "LOG_WHO",
    "LOG_KEY",
)
CERTS_PATH = "/cdn-cgi/access/certs"

_TEAM = re.compile(rf"({LABEL})/*|(?:https://)?({LABEL})\.cloudflareaccess\.com/*")
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost)(?::([0-9]{1,5}))?/*")
_AUDIENCE = re.compile(r"[0-9a-f]{64}")


class Settings(NamedTuple):
    """What the guard checks against.

    issuer: the team domain as it stands in a token's `iss`, such as `https://acme.cloudflareaccess.com`
    audiences: the Access applications' AUD tags
    emails, service_tokens: who may pass; `ANYONE` among them means whoever the Access policy admits
    domains: whose addresses may all pass, such as `example.com`
    roles: what those who pass may do
    who: whether the log names them
    """

    issuer: str
    audiences: frozenset[str]
    emails: frozenset[str]
    domains: frozenset[str]
    service_tokens: frozenset[str]
    roles: roles.Roles
    who: who.Who

    @property
    def certs_url(self) -> str:
        return self.issuer + CERTS_PATH

    def allows_email(self, email: str) -> bool:
        listed = ANYONE in self.emails or fold(email) in self.emails
        return listed or domain_of(email) in self.domains

    @property
    def allows_any_service_token(self) -> bool:
        return ANYONE in self.service_tokens

    def allows_service_token(self, client_id: str) -> bool:
        return self.allows_any_service_token or client_id in self.service_tokens


def load(variables: Mapping[str, object]) -> Settings:
    """Settings from the Worker's vars. Raises NotConfigured, naming the first bad variable."""
    issuer, loopback = _team_domain(variables.get("TEAM_DOMAIN"))
    audiences = _audiences(variables.get("POLICY_AUD"), loopback)
    emails: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    service_tokens: frozenset[str] = frozenset()
    if HUMANS:
        emails, domains = _emails(variables.get("ALLOWED_EMAILS"))
    if MACHINES:
        service_tokens = _service_tokens(variables.get("ALLOWED_SERVICE_TOKENS"))
    if not emails and not domains and not service_tokens:
        name = "ALLOWED_EMAILS" if HUMANS else "ALLOWED_SERVICE_TOKENS"
        raise NotConfigured(name, "names nobody, so nobody could be let in")
    defined = roles.load(variables.get("ROLES"))
    logged = who.load(variables.get("LOG_WHO"), variables.get("LOG_KEY"))
    return Settings(issuer, audiences, emails, domains, service_tokens, defined, logged)


def _team_domain(value: object) -> tuple[str, bool]:
    """The issuer, and whether it is on this machine (local work)."""
    name = "TEAM_DOMAIN"
    text = text_of(name, value)
    if not text.isascii():  # before lower(), which maps the Kelvin sign to k
        raise NotConfigured(name, "may hold ASCII letters, digits and hyphens only")
    text = text.lower()
    local = _LOOPBACK.fullmatch(text)
    if local:
        host, port = local.groups()
        if port is not None and not 1 <= int(port) <= 65535:
            raise NotConfigured(name, "has a port that does not exist")
        return f"http://{host}" + (f":{port}" if port is not None else ""), True
    match = _TEAM.fullmatch(text)
    if match is None:
        raise NotConfigured(name, "must look like https://<team>.cloudflareaccess.com")
    team = match[1] or match[2]
    if team == "your-team":
        raise NotConfigured(name, "still holds a placeholder")
    return f"https://{team}.cloudflareaccess.com", False


def _audiences(value: object, loopback: bool) -> frozenset[str]:
    name = "POLICY_AUD"
    tags = strings(name, value)
    if not tags:
        raise NotConfigured(name, "is empty: copy the AUD tag from the Access application")
    if not loopback:
        tags = [tag.lower() for tag in tags]
        if not all(_AUDIENCE.fullmatch(tag) for tag in tags):
            raise NotConfigured(name, "must be the 64 hexadecimal digits of an AUD tag")
    return frozenset(tags)


def _emails(value: object) -> tuple[frozenset[str], frozenset[str]]:
    """Addresses, and whole domains."""
    name = "ALLOWED_EMAILS"
    entries = frozenset(map(fold, strings(name, value)))
    domains = frozenset(entry for entry in entries if DOMAIN.fullmatch(entry))
    for entry in entries - domains:
        if entry != ANYONE and not EMAIL.fullmatch(entry):
            said = "must be a list of e-mail addresses, and of domains such as @example.com"
            raise NotConfigured(name, f'{said}, ["*"] or []')
    return entries - domains, frozenset(domain[1:] for domain in domains)


def _service_tokens(value: object) -> frozenset[str]:
    name = "ALLOWED_SERVICE_TOKENS"
    entries = strings(name, value)
    for entry in entries:
        if entry != ANYONE and not CLIENT_ID.fullmatch(entry):
            raise NotConfigured(name, 'must be a list of Client IDs ending in .access, ["*"] or []')
    return frozenset(entries)
