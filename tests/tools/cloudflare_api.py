"""Stands in for the Cloudflare API in the tests of the command `private-worker`.

A real HTTP server on loopback that keeps state: what is created can be read, PUT replaces the whole
object, lists come in pages. The real SDK finds it with CLOUDFLARE_BASE_URL. It is written from the
API's documentation (https://developers.cloudflare.com/api/) and the SDK 5.9.0's types, and knows
nothing about the commands that are tested. `exchanges` is what test_contract.py holds against the
SDK's models.
"""

import copy
import json
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

Json = dict[str, Any]
READ_ONLY = ("id", "aud", "created_at", "updated_at")
ACCESS = 9999  # the code of Access's own errors; the message says which

# Fields that an object of the API always has, whether somebody set them or not.
_EVERY_APP: Json = {
    "allow_iframe": None,
    "cors_headers": None,
    "custom_deny_message": None,
    "custom_deny_url": None,
    "enable_binding_cookie": False,
    "mfa_config": None,
    "oauth_configuration": None,
    "service_auth_401_redirect": False,
    "tags": [],
}
_EVERY_POLICY: Json = {
    "approval_groups": [],
    "approval_required": False,
    "connection_rules": None,
    "exclude": [],
    "isolation_required": False,
    "mfa_config": None,
    "purpose_justification_prompt": None,
    "purpose_justification_required": False,
    "require": [],
    "session_duration": "24h",
}


@dataclass
class Account:
    """What one account holds. Tests read and change it directly."""

    id: str
    name: str
    # None: there is none (404). Without `zero_trust` the whole product is off (403).
    organization: Json | None
    zero_trust: bool = True
    subdomain: str | None = "acme"  # of workers.dev
    identity_providers: dict[str, Json] = field(default_factory=dict)
    policies: dict[str, Json] = field(default_factory=dict)  # the reusable ones
    apps: dict[str, Json] = field(default_factory=dict)  # `policies` as links or inline objects
    service_tokens: dict[str, Json] = field(default_factory=dict)
    workers: dict[str, Json] = field(default_factory=dict)  # by name
    versions: dict[str, list[Json]] = field(default_factory=dict)  # by Worker name, newest first
    deployments: dict[str, list[Json]] = field(default_factory=dict)  # by Worker name, newest first
    domains: list[Json] = field(default_factory=list)


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Any


@dataclass
class _Failure:
    method: str
    path: re.Pattern[str]
    status: int
    errors: list[Json]
    headers: dict[str, str]
    times: int
    body: bytes | None
    carried_out: bool
    drop: bool
    delay: float
    late: bool


class Exchange(NamedTuple):
    """A request and the answer that this API gave by itself, without a test's interference."""

    request: Request
    status: int
    envelope: Json


class Refused(Exception):
    def __init__(self, status: int, code: int, message: str, chain: Json | None = None) -> None:
        error: Json = {"code": code, "message": message}
        self.status, self.errors = status, [error | ({"error_chain": [chain]} if chain else {})]


class CloudflareApi:
    """`url` goes into CLOUDFLARE_BASE_URL, `token` into CLOUDFLARE_API_TOKEN."""

    def __init__(self) -> None:
        self.token = "-".join(["cf", secrets.token_hex(20)])
        self.accounts: dict[str, Account] = {}
        self.zones: dict[str, Json] = {}
        self.routes: dict[str, list[Json]] = {}  # by zone id
        # Parts of "METHOD /path" that the token may not do, such as "POST" + " /…/access/apps".
        self.denied: set[str] = set()
        self.requests: list[Request] = []
        self.authorizations: list[dict[str, str]] = []  # the headers of each request
        self.secrets: list[str] = []  # client secrets, each of them answered once
        self.revoked: list[str] = []  # the applications whose tokens were
        self.rotated: dict[str, str | None] = {}  # when the secret before ends, by token id
        self.page_size = 2  # the most that a page holds, whatever is asked for
        # What was created is seen everywhere only after a while, if a test wants it so: lists
        # leave it out for so many seconds, and so many requests that name it are refused.
        self.trailing_lists = 0.0
        self.unknown_at_first = 0
        self.exchanges: list[Exchange] = []
        self._made: dict[str, float] = {}  # when, by id
        self._unknown: dict[str, int] = {}  # requests that still do not find it, by id
        self._failures: list[_Failure] = []
        self._lock = threading.RLock()
        outer = self

        class Handler(_Handler):
            api = outer

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/client/v4"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # What a test sets up

    def account(self, name: str = "Example", team: str = "acme-labs") -> Account:
        """A new account with Zero Trust, without login methods."""
        made = Account(secrets.token_hex(16), name, None)
        made.organization = {
            "name": name,
            "auth_domain": f"{team}.cloudflareaccess.com",
            "strict_service_token_auth": True,
            "deny_unmatched_requests": False,
            "is_ui_read_only": False,
            "login_design": None,
            "session_duration": None,
        }
        self.accounts[made.id] = made
        return made

    def worker(self, account: Account, name: str) -> Json:
        """A deployed Worker without any address."""
        made: Json = {
            "id": secrets.token_hex(16),
            "name": name,
            "subdomain": {"enabled": False, "previews_enabled": False},
            "references": {
                "dispatch_namespace_outbounds": [],
                "domains": [],
                "durable_objects": [],
                "queues": [],
                "workers": [],
            },
            "created_on": _now(),
            "updated_on": _now(),
            "logpush": False,
            "observability": {"enabled": False, "head_sampling_rate": 1},
            "tags": [],
            "tail_consumers": [],
        }
        if account.subdomain:
            host = f"{name}.{account.subdomain}.workers.dev"
            made["subdomain"] |= {"url": f"https://{host}", "preview_url_suffix": f"-{host}"}
        account.workers[name] = made
        self.version(account, name)
        return made

    def version(self, account: Account, name: str) -> str:
        """A new version of a Worker, deployed to all its traffic. Returns its id."""
        made, listed = str(uuid4()), account.versions.setdefault(name, [])
        listed.insert(0, {"id": made, "number": len(listed) + 1, "metadata": {"hasPreview": True}})
        deployment = {
            "id": str(uuid4()),
            "source": "wrangler",
            "strategy": "percentage",
            "created_on": _now(),
            "versions": [{"version_id": made, "percentage": 100}],
        }
        account.deployments.setdefault(name, []).insert(0, deployment)
        return made

    def zone(self, account: Account, name: str) -> Json:
        made: Json = {"id": secrets.token_hex(16), "name": name, "status": "active"}
        made["account"] = {"id": account.id, "name": account.name}
        made |= {"created_on": _now(), "modified_on": _now(), "development_mode": 0, "meta": {}}
        made |= {"name_servers": ["ns1.example.net"], "original_name_servers": None}
        made |= {"original_dnshost": None, "original_registrar": None, "activated_on": None}
        made |= {"owner": {"id": None, "name": None, "type": "user"}, "plan": {"name": "Free"}}
        self.zones[made["id"]] = made
        self.routes[made["id"]] = []
        return made

    def route(self, zone: Json, pattern: str, script: str | None) -> Json:
        made: Json = {"id": secrets.token_hex(16), "pattern": pattern, "script": script}
        self.routes[zone["id"]].append(made)
        return made

    def domain(self, account: Account, zone: Json, hostname: str, service: str) -> Json:
        """A custom domain of a Worker."""
        made: Json = {"id": secrets.token_hex(16), "hostname": hostname, "service": service}
        made |= {"zone_id": zone["id"], "zone_name": zone["name"]}
        made |= {"environment": "production", "cert_id": str(uuid4())}
        account.domains.append(made)
        if service in account.workers:
            domains = account.workers[service]["references"]["domains"]
            kept = {k: made[k] for k in ("id", "hostname", "zone_id", "zone_name")}
            domains.append({**kept, "certificate_id": made["cert_id"]})
        return made

    def service_token(self, account: Account, name: str, days: float = 365) -> Json:
        """A token that exists already and ends in so many days. Nobody knows its secret."""
        made = self._new_service_token(account, {"name": name})
        made["expires_at"] = _time(timedelta(days=days))
        return made

    def fail(
        self,
        method: str,
        path_regex: str,
        status: int,
        errors: list[Json] | None = None,
        headers: dict[str, str] | None = None,
        times: int = 1,
        *,
        body: bytes | None = None,
        carried_out: bool = False,
        drop: bool = False,
        delay: float = 0,
        late: bool = False,
    ) -> None:
        """Answer the next `times` requests whose path has `path_regex` this way.

        `carried_out`: the request changes the state first. `body` stands instead of an envelope,
        `drop` closes the connection without an answer, `delay` is in seconds. `late`: after the
        delay the request is answered as if nothing had been wrong.
        """
        if errors is None:
            errors = [{"code": 10001, "message": "injected"}]
        pattern = re.compile(path_regex)
        more = carried_out, drop, delay, late
        failure = _Failure(method, pattern, status, errors, headers or {}, times, body, *more)
        self._failures.append(failure)

    def create(self, path: str, **body: object) -> Json:
        """What POST to `path` creates, without the token and without being counted as a request."""
        result, _ = self._result(Request("POST", path, {}, body))
        made: Json = copy.deepcopy(result)
        self._made.pop(made["id"], None)  # it was there long ago
        self._unknown.pop(made["id"], None)
        return made

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.method != "GET"]

    def state(self) -> Any:
        """All of the state, as a copy to compare with."""
        return copy.deepcopy((self.accounts, self.zones, self.routes))

    # The answers

    def answer(self, request: Request, headers: dict[str, str]) -> tuple[int, Json]:
        with self._lock:
            status, envelope = self._answer(request, headers)
            self.exchanges.append(Exchange(request, status, copy.deepcopy(envelope)))
        return status, envelope

    def _answer(self, request: Request, headers: dict[str, str]) -> tuple[int, Json]:
        try:
            sent = headers.get("authorization", "").removeprefix("Bearer ")
            if len(sent) < 20:
                why = {"code": 6111, "message": "Invalid format for Authorization header"}
                raise Refused(400, 6003, "Invalid request headers", why)
            if sent != self.token:
                raise Refused(401, 10000, "Authentication error")
            line = f"{request.method} {request.path}"
            if any(part in line for part in self.denied):
                raise Refused(403, 10000, "Authentication error")
            result, info = self._result(request)
        except Refused as refused:
            return refused.status, _envelope(None, refused.errors)
        # Only what Access creates is told of with 201; an action such as rotate is not.
        created = request.method == "POST" and request.path.split("/")[-2] == "access"
        later = request.path.endswith("/revoke_tokens")  # it is accepted
        return 201 if created else 202 if later else 200, _envelope(copy.deepcopy(result), [], info)

    def failure(self, request: Request) -> "_Failure | None":
        with self._lock:
            for failure in self._failures:
                fits = failure.method == request.method and failure.path.search(request.path)
                if fits and failure.times > 0:
                    failure.times -= 1
                    return failure
        return None

    def _result(self, request: Request) -> tuple[Any, Json | None]:
        for method, pattern, handler in _ENDPOINTS:
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                ids = [unquote(group) for group in match.groups()]
                if pattern.pattern.startswith("/accounts/"):
                    if ids[0] not in self.accounts:
                        said = f"Could not route to /client/v4{request.path}, perhaps your object"
                        raise Refused(404, 7003, f"{said} identifier is invalid?")
                    account = self.accounts[ids[0]]
                    if "/access/" in request.path and not account.zero_trust:
                        raise Refused(403, ACCESS, "access.api.error.not_enabled")
                    result = handler(self, request, account, *ids[1:])
                else:
                    result = handler(self, request, *ids)
                return self._paged(request, result)
        raise Refused(404, 7000, "No route for that URI")

    def _paged(self, request: Request, result: Any) -> tuple[Any, Json | None]:
        path, items = request.path, result
        if isinstance(result, dict) and set(result) == {"items"}:
            items = result["items"]
        unpaged = path.endswith(("/workers/domains", "/workers/routes", "/workers/scripts"))
        if not isinstance(items, list) or unpaged:
            return result, None
        if "/access/" in path:
            old = time.monotonic() - self.trailing_lists
            items = result = [row for row in items if self._made.get(row["id"], 0) <= old]
        page = int(request.query.get("page", 1))
        size = min(int(request.query.get("per_page", 20)), self.page_size)
        part = items[(page - 1) * size : page * size]
        info = {"page": page, "per_page": size, "count": len(part), "total_count": len(items)}
        return ({"items": part} if items is not result else part), info

    # Accounts, zones

    def _accounts(self, request: Request) -> list[Json]:
        return [{"id": a.id, "name": a.name, "type": "standard"} for a in self.accounts.values()]

    def _zones(self, request: Request) -> list[Json]:
        wanted = request.query.get("account.id")
        zones = [z for z in self.zones.values() if wanted in (None, z["account"]["id"])]
        name = request.query.get("name")
        return [z for z in zones if name in (None, z["name"])]

    def _zone_routes(self, request: Request, zone: str) -> list[Json]:
        if zone not in self.zones:
            raise Refused(404, 1001, "Invalid zone identifier")
        return self.routes[zone]

    # Workers

    def _worker(self, request: Request, account: Account, name: str) -> Json:
        for worker in account.workers.values():
            if name in (worker["id"], worker["name"]):
                return worker
        raise Refused(404, 10007, "This Worker does not exist on your account.")

    def _scripts(self, request: Request, account: Account) -> list[Json]:
        return [
            {"id": name, "tag": row["id"], "created_on": _now(), "modified_on": _now()}
            for name, row in account.workers.items()
        ]

    def _script_subdomain(self, request: Request, account: Account, name: str) -> Json:
        found = self._worker(request, account, name)["subdomain"]
        return {key: found[key] for key in ("enabled", "previews_enabled")}

    def _account_subdomain(self, request: Request, account: Account) -> Json:
        if account.subdomain is None:
            raise Refused(404, 10007, "You do not have a workers.dev subdomain.")
        return {"subdomain": account.subdomain}

    def _domains(self, request: Request, account: Account) -> list[Json]:
        query = request.query
        return [
            row
            for row in account.domains
            if query.get("service") in (None, row["service"])
            and query.get("hostname") in (None, row["hostname"])
        ]

    def _versions(self, request: Request, account: Account, name: str) -> list[Json]:
        return account.versions.get(self._worker(request, account, name)["name"], [])

    def _script_versions(self, request: Request, account: Account, name: str) -> Json:
        return {"items": self._versions(request, account, name)}

    def _deployments(self, request: Request, account: Account, name: str) -> Json:
        found = self._worker(request, account, name)["name"]
        return {"deployments": account.deployments.get(found, [])}

    # Access

    def _organization(self, request: Request, account: Account) -> Json:
        if account.organization is None:
            raise Refused(404, ACCESS, "access.api.error.not_found")
        return account.organization

    def _patch_organization(self, request: Request, account: Account) -> Json:
        return self._organization(request, account) | _changed(account, request)

    def _identity_providers(self, request: Request, account: Account) -> list[Json]:
        return list(account.identity_providers.values())

    def _new_identity_provider(self, request: Request, account: Account) -> Json:
        body = _object(request, "name", "type", "config")
        if body["type"] == "onetimepin":
            for row in account.identity_providers.values():
                if row["type"] == "onetimepin":
                    raise Refused(409, ACCESS, "access.api.error.conflict: onetimepin exists")
        made = {**body, "id": self._new_id()}
        account.identity_providers[made["id"]] = made
        return made

    def _policies(self, request: Request, account: Account) -> list[Json]:
        return [self._policy(account, key) for key in account.policies]

    def _policy(self, account: Account, key: str) -> Json:
        uses = [app for app in account.apps.values() if key in _links(app)]
        made = {**_EVERY_POLICY, "account_id": account.id, **account.policies[key]}
        return made | {"app_count": len(uses), "reusable": True}

    def _new_policy(self, request: Request, account: Account) -> Json:
        made = self._checked_policy(request, account)
        key = self._new_id()
        account.policies[key] = made | _new(key)
        return self._policy(account, key)

    def _delete_policy(self, request: Request, account: Account, key: str) -> Json:
        if self._one_policy(request, account, key)["app_count"]:
            raise Refused(400, ACCESS, "access.api.error.policy_in_use")
        del account.policies[key]
        return {"id": key}

    def _one_policy(self, request: Request, account: Account, key: str) -> Json:
        if key not in account.policies:
            raise Refused(404, ACCESS, "access.api.error.not_found: policy not found")
        return self._policy(account, key)

    def _put_policy(self, request: Request, account: Account, key: str) -> Json:
        kept = {
            name: self._one_policy(request, account, key)[name] for name in ("id", "created_at")
        }
        account.policies[key] = self._checked_policy(request, account) | kept
        account.policies[key]["updated_at"] = _now()
        return self._policy(account, key)

    def _checked_policy(self, request: Request, account: Account) -> Json:
        body = _object(request, "name", "decision", "include")
        if body["decision"] not in ("allow", "deny", "non_identity", "bypass"):
            raise Refused(400, 12130, "access.api.error.invalid_request: decision")
        for rule in body["include"]:
            token = rule.get("service_token", {}).get("token_id")
            if token is not None and token not in account.service_tokens:
                raise Refused(400, 12130, "access.api.error.invalid_request: token not found")
            self._may_be_named(token, "service token")
            if ("service_token" in rule or "any_valid_service_token" in rule) and body[
                "decision"
            ] not in ("non_identity", "bypass"):
                raise Refused(400, 12130, "access.api.error.invalid_policy: needs Service Auth")
        if not body["include"]:
            raise Refused(400, 12130, "access.api.error.invalid_request: include is empty")
        kept = {**_EVERY_POLICY, **body}
        for name in READ_ONLY:
            kept.pop(name, None)
        return kept

    def _new_id(self) -> str:
        made = str(uuid4())
        self._made[made], self._unknown[made] = time.monotonic(), self.unknown_at_first
        return made

    def _may_be_named(self, key: str | None, what: str) -> None:
        """Raises Refused as long as the other part of the API does not know the object."""
        if self._unknown.get(key or "", 0) > 0:
            self._unknown[key or ""] -= 1
            raise Refused(400, 12130, f"access.api.error.invalid_request: {what} {key} not found")

    def _apps(self, request: Request, account: Account) -> list[Json]:
        query = request.query
        return [
            self._app(account, key)
            for key, app in account.apps.items()
            if _has(app, "type", query.get("destination_type"))
            and _has(app, "worker_id", query.get("worker_id"))
            and query.get("domain") in (None, app.get("domain"))
            and query.get("name") in (None, app.get("name"))
        ]

    def _app(self, account: Account, key: str) -> Json:
        shown = _EVERY_APP | copy.deepcopy(account.apps[key])
        policies = []
        for policy in shown["policies"]:
            if set(policy) == {"id", "precedence"}:
                policy = self._policy(account, policy["id"]) | policy
                del policy["app_count"], policy["reusable"]
            policies.append(policy)
        for row in shown.get("destinations") or []:
            if row["type"] == "public":
                shown.setdefault("domain", row["uri"])
        shown["policies"] = sorted(policies, key=lambda policy: int(policy["precedence"]))
        return shown

    def _one_app(self, request: Request, account: Account, key: str) -> Json:
        if key not in account.apps:
            raise Refused(404, ACCESS, "access.api.error.not_found: application not found")
        return self._app(account, key)

    def _new_app(self, request: Request, account: Account) -> Json:
        made = self._checked_app(request, account, "")
        key = self._new_id()
        account.apps[key] = made | {"id": key, "aud": secrets.token_hex(32)}
        return self._app(account, key)

    def _delete_app(self, request: Request, account: Account, key: str) -> Json:
        del account.apps[self._one_app(request, account, key)["id"]]
        return {"id": key}

    def _put_app(self, request: Request, account: Account, key: str) -> Json:
        old = self._one_app(request, account, key)
        made = self._checked_app(request, account, key)
        account.apps[key] = made | {"id": key, "aud": old["aud"]}
        return self._app(account, key)

    def _revoke_tokens(self, request: Request, account: Account, key: str) -> Json:
        self.revoked.append(self._one_app(request, account, key)["id"])
        return {}

    def _checked_app(self, request: Request, account: Account, key: str) -> Json:
        body = _object(request, "type")
        made = {name: value for name, value in body.items() if name not in READ_ONLY}
        destinations = made.get("destinations") or []
        if not destinations and not made.get("domain"):
            raise Refused(400, 12130, "access.api.error.invalid_request: domain or destinations")
        for destination in destinations:
            kind, worker = destination.get("type"), destination.get("worker_id")
            if kind in ("worker", "preview_worker"):
                if worker not in [row["id"] for row in account.workers.values()]:
                    raise Refused(400, 12130, "access.api.error.invalid_request: worker_id")
                for other, app in account.apps.items():
                    if other != key and _has_destination(app, kind, worker):
                        raise Refused(409, 11010, "access.api.error.application_already_exists")
        public = [row["uri"] for row in destinations if row.get("type") == "public"]
        if public:
            made.setdefault("domain", public[0])
            made["self_hosted_domains"] = public
        elif destinations:
            made.pop("domain", None)
        made["policies"] = self._checked_links(account, made.get("policies") or [])
        return made

    def _checked_links(self, account: Account, policies: list[Any]) -> list[Json]:
        """Reusable policies as {id, precedence}, inline ones as they are; never both."""
        found: list[Json] = []
        for number, policy in enumerate(policies, 1):
            policy = {"id": policy} if isinstance(policy, str) else dict(policy)
            policy.setdefault("precedence", number)
            if "decision" in policy:
                found.append(policy | {"id": policy.get("id") or str(uuid4())})
                continue
            if policy.get("id") not in account.policies:
                raise Refused(400, 12130, "access.api.error.invalid_request: policy not found")
            self._may_be_named(policy["id"], "policy")
            found.append({"id": policy["id"], "precedence": policy["precedence"]})
        if len({len(policy) == 2 for policy in found}) > 1:
            raise Refused(
                400, 12130, "access.api.error.invalid_request: reusable and inline policies"
            )
        if len({policy["precedence"] for policy in found}) != len(found):
            raise Refused(400, 12130, "access.api.error.invalid_request: precedence")
        return found

    def _service_tokens(self, request: Request, account: Account) -> list[Json]:
        return list(account.service_tokens.values())

    def _create_service_token(self, request: Request, account: Account) -> Json:
        made = self._new_service_token(account, _object(request, "name"))
        self._made[made["id"]], self._unknown[made["id"]] = time.monotonic(), self.unknown_at_first
        return self._with_secret(made)

    def _with_secret(self, token: Json) -> Json:
        """The answer to a POST that made a secret. It does not say when the token ends."""
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        secret = "_".join(["cfast", "".join(secrets.choice(letters) for _ in range(48))])
        self.secrets.append(secret)
        return {k: v for k, v in token.items() if k != "expires_at"} | {"client_secret": secret}

    def _new_service_token(self, account: Account, body: Json) -> Json:
        made = {"duration": "8760h", "enabled": True, **body, "id": str(uuid4())}
        made |= {"client_id": f"{secrets.token_hex(16)}.access"}
        made["expires_at"] = _time(timedelta(days=365))
        account.service_tokens[made["id"]] = made
        return made

    def _one_service_token(self, request: Request, account: Account, key: str) -> Json:
        if key not in account.service_tokens:
            raise Refused(404, ACCESS, "access.api.error.not_found: service token not found")
        return account.service_tokens[key]

    def _rotate_service_token(self, request: Request, account: Account, key: str) -> Json:
        token = self._one_service_token(request, account, key)
        self.rotated[key] = (request.body or {}).get("previous_client_secret_expires_at")
        return self._with_secret(token)

    def _refresh_service_token(self, request: Request, account: Account, key: str) -> Json:
        token = self._one_service_token(request, account, key)
        token["expires_at"] = _time(timedelta(days=365))
        return token

    def _delete_service_token(self, request: Request, account: Account, key: str) -> Json:
        return account.service_tokens.pop(self._one_service_token(request, account, key)["id"])


def _endpoint(line: str, handler: Callable[..., Any]) -> tuple[str, re.Pattern[str], Any]:
    method, path = line.split()
    return method, re.compile(path.replace("*", "([^/]+)")), handler


HANDLERS: dict[str, Callable[..., Any]] = {
    "GET /accounts": CloudflareApi._accounts,
    "GET /zones": CloudflareApi._zones,
    "GET /zones/*/workers/routes": CloudflareApi._zone_routes,
    "GET /accounts/*/workers/workers/*": CloudflareApi._worker,
    "GET /accounts/*/workers/scripts": CloudflareApi._scripts,
    "GET /accounts/*/workers/scripts/*/subdomain": CloudflareApi._script_subdomain,
    "GET /accounts/*/workers/scripts/*/versions": CloudflareApi._script_versions,
    "GET /accounts/*/workers/scripts/*/deployments": CloudflareApi._deployments,
    "GET /accounts/*/workers/subdomain": CloudflareApi._account_subdomain,
    "GET /accounts/*/workers/domains": CloudflareApi._domains,
    "GET /accounts/*/access/organizations": CloudflareApi._organization,
    "PATCH /accounts/*/access/organizations": CloudflareApi._patch_organization,
    "GET /accounts/*/access/identity_providers": CloudflareApi._identity_providers,
    "POST /accounts/*/access/identity_providers": CloudflareApi._new_identity_provider,
    "GET /accounts/*/access/policies": CloudflareApi._policies,
    "POST /accounts/*/access/policies": CloudflareApi._new_policy,
    "GET /accounts/*/access/policies/*": CloudflareApi._one_policy,
    "PUT /accounts/*/access/policies/*": CloudflareApi._put_policy,
    "DELETE /accounts/*/access/policies/*": CloudflareApi._delete_policy,
    "GET /accounts/*/access/apps": CloudflareApi._apps,
    "POST /accounts/*/access/apps": CloudflareApi._new_app,
    "GET /accounts/*/access/apps/*": CloudflareApi._one_app,
    "PUT /accounts/*/access/apps/*": CloudflareApi._put_app,
    "DELETE /accounts/*/access/apps/*": CloudflareApi._delete_app,
    "POST /accounts/*/access/apps/*/revoke_tokens": CloudflareApi._revoke_tokens,
    "GET /accounts/*/access/service_tokens": CloudflareApi._service_tokens,
    "POST /accounts/*/access/service_tokens": CloudflareApi._create_service_token,
    "DELETE /accounts/*/access/service_tokens/*": CloudflareApi._delete_service_token,
    "POST /accounts/*/access/service_tokens/*/rotate": CloudflareApi._rotate_service_token,
    "POST /accounts/*/access/service_tokens/*/refresh": CloudflareApi._refresh_service_token,
}
_ENDPOINTS = [_endpoint(line, handler) for line, handler in HANDLERS.items()]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error, and must not write into a test's output."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    api: CloudflareApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # each answer would take 40 ms

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = parts.path.removeprefix("/client/v4")
        query = dict(parse_qsl(parts.query))
        request = Request(self.command, path, query, json.loads(raw) if raw else None)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.api.requests.append(request)
        self.api.authorizations.append(headers)
        failure = self.api.failure(request)
        if failure is not None:
            time.sleep(failure.delay)
        if failure is None or failure.late:
            status, envelope = self.api.answer(request, headers)
            self._send(status, json.dumps(envelope).encode(), {})
            return
        if failure.carried_out:
            self.api.answer(request, headers)
        if failure.drop:
            self.close_connection = True
            return
        body = failure.body
        if body is None:
            body = json.dumps(_envelope(None, failure.errors)).encode()
        self._send(failure.status, body, failure.headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def _envelope(result: Any, errors: list[Json], info: Json | None = None) -> Json:
    made = {"success": not errors, "errors": errors, "messages": [], "result": result}
    return made if info is None else {**made, "result_info": info}


def _object(request: Request, *required: str) -> Json:
    body = request.body
    if not isinstance(body, dict) or any(name not in body for name in required):
        raise Refused(400, 12130, f"access.api.error.invalid_request: needs {', '.join(required)}")
    return copy.deepcopy(body)


def _new(key: str) -> Json:
    return {"id": key, "created_at": _now(), "updated_at": _now()}


def _now() -> str:
    return _time(timedelta())


def _time(from_now: timedelta) -> str:
    return (datetime.now(UTC) + from_now).strftime("%Y-%m-%dT%H:%M:%SZ")


def _changed(account: Account, request: Request) -> Json:
    """The organisation with what a PATCH says, kept."""
    account.organization = (account.organization or {}) | _object(request)
    return account.organization


def _links(app: Json) -> list[str]:
    return [policy["id"] for policy in app["policies"]]


def _has(app: Json, name: str, value: str | None) -> bool:
    if value is None:
        return True
    return any(row.get(name) == value for row in app.get("destinations") or [])


def _has_destination(app: Json, kind: str, worker: str) -> bool:
    return any(
        row.get("type") == kind and row.get("worker_id") == worker
        for row in app.get("destinations") or []
    )
