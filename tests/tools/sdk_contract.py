"""Holds requests and answers against the models of the official `cloudflare` SDK, strictly.

The SDK itself is lenient: it takes any answer and sends any body. Here an unknown field, a missing
required one and a value of another type are all wrong. What Cloudflare does although its SDK says
otherwise is in `KNOWN`, and nowhere else.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from cloudflare.types.accounts import Account, AccountListParams
from cloudflare.types.shared import ResponseInfo
from cloudflare.types.workers import (
    DomainListParams,
    DomainListResponse,
    RouteListResponse,
    ScriptListResponse,
    SubdomainGetResponse,
)
from cloudflare.types.workers.beta import Worker
from cloudflare.types.workers.scripts import DeploymentListResponse, VersionListResponse
from cloudflare.types.workers.scripts import SubdomainGetResponse as ScriptSubdomain
from cloudflare.types.workers.scripts import VersionListParams as ScriptVersionListParams
from cloudflare.types.zero_trust import (
    IdentityProviderListParams,
    IdentityProviderListResponse,
    OrganizationListResponse,
    OrganizationUpdateParams,
    identity_provider_create_params,
)
from cloudflare.types.zero_trust.access import (
    ApplicationDeleteResponse,
    ApplicationListParams,
    PolicyCreateParams,
    PolicyCreateResponse,
    PolicyDeleteResponse,
    PolicyGetResponse,
    PolicyListParams,
    PolicyListResponse,
    PolicyUpdateParams,
    PolicyUpdateResponse,
    ServiceToken,
    ServiceTokenCreateParams,
    ServiceTokenCreateResponse,
    ServiceTokenListParams,
    ServiceTokenRotateParams,
    ServiceTokenRotateResponse,
    application_create_params,
    application_create_response,
    application_get_response,
    application_list_response,
    application_update_params,
    application_update_response,
)
from cloudflare.types.zones import Zone, ZoneListParams
from pydantic import BaseModel
from typing_extensions import is_typeddict

from cloudflare_api import Exchange, Request

# The parts of a path that are parameters, which the SDK lists among the fields of a request.
PARAMETERS = ("account_id", "zone_id", "worker_id", "script_name", "app_id", "policy_id")
KNOWN = (
    # An application has no hostname of its own when its destination is a Worker, and need not be
    # given one when it has destinations. The API's models all want it.
    re.compile(r"(body|result(\[\d+\])?): domain is missing"),
    # An account's applications cannot be asked for by destination in the SDK; the docs can.
    re.compile(r"query: (destination_type|worker_id) is unknown"),
    # Why a request was refused. The envelope's own model does not know it.
    re.compile(r"errors\[\d+\]: error_chain is unknown"),
    # What tests put in to see that it survives.
    re.compile(r": future_\w+ is unknown"),
)

A = "/accounts/*"
APP = "SelfHostedApplication"
# Method and path; the query, the body and the result as the SDK declares them.
OPERATIONS: dict[str, tuple[Any, Any, Any]] = {
    "GET /accounts": (AccountListParams, None, list[Account]),
    "GET /zones": (ZoneListParams, None, list[Zone]),
    "GET /zones/*/workers/routes": (None, None, list[RouteListResponse]),
    f"GET {A}/workers/workers/*": (None, None, Worker),
    f"GET {A}/workers/scripts": (None, None, list[ScriptListResponse]),
    f"GET {A}/workers/scripts/*/subdomain": (None, None, ScriptSubdomain),
    f"GET {A}/workers/scripts/*/versions": (
        ScriptVersionListParams,
        None,
        dict[str, list[VersionListResponse]],
    ),
    f"GET {A}/workers/scripts/*/deployments": (None, None, DeploymentListResponse),
    f"GET {A}/workers/subdomain": (None, None, SubdomainGetResponse),
    f"GET {A}/workers/domains": (DomainListParams, None, list[DomainListResponse]),
    f"GET {A}/access/organizations": (None, None, OrganizationListResponse),
    f"PATCH {A}/access/organizations": (None, OrganizationUpdateParams, OrganizationListResponse),
    f"GET {A}/access/identity_providers": (
        IdentityProviderListParams,
        None,
        list[IdentityProviderListResponse],
    ),
    f"POST {A}/access/identity_providers": (
        None,
        identity_provider_create_params.IdentityProviderCreateParams,
        IdentityProviderListResponse,
    ),
    f"GET {A}/access/policies": (PolicyListParams, None, list[PolicyListResponse]),
    f"POST {A}/access/policies": (None, PolicyCreateParams, PolicyCreateResponse),
    f"GET {A}/access/policies/*": (None, None, PolicyGetResponse),
    f"PUT {A}/access/policies/*": (None, PolicyUpdateParams, PolicyUpdateResponse),
    f"DELETE {A}/access/policies/*": (None, None, PolicyDeleteResponse),
    f"GET {A}/access/apps": (
        ApplicationListParams,
        None,
        list[application_list_response.SelfHostedApplication],
    ),
    f"POST {A}/access/apps": (
        None,
        application_create_params.SelfHostedApplication,
        application_create_response.SelfHostedApplication,
    ),
    f"GET {A}/access/apps/*": (None, None, application_get_response.SelfHostedApplication),
    f"PUT {A}/access/apps/*": (
        None,
        application_update_params.SelfHostedApplication,
        application_update_response.SelfHostedApplication,
    ),
    f"DELETE {A}/access/apps/*": (None, None, ApplicationDeleteResponse),
    f"POST {A}/access/apps/*/revoke_tokens": (None, None, object),  # the answer is not described
    f"GET {A}/access/service_tokens": (ServiceTokenListParams, None, list[ServiceToken]),
    f"POST {A}/access/service_tokens": (None, ServiceTokenCreateParams, ServiceTokenCreateResponse),
    f"DELETE {A}/access/service_tokens/*": (None, None, ServiceToken),
    f"POST {A}/access/service_tokens/*/rotate": (
        None,
        ServiceTokenRotateParams,
        ServiceTokenRotateResponse,
    ),
    f"POST {A}/access/service_tokens/*/refresh": (None, None, ServiceToken),
}
# Answered with 201, as the API does for what Access creates.
CREATED = [line for line in OPERATIONS if re.fullmatch(r"POST .*/access/[a-z_]+", line)]
# Answered with 202: https://developers.cloudflare.com/api/resources/zero_trust/
ACCEPTED = f"POST {A}/access/apps/*/revoke_tokens"
# An answer holds these fields although the SDK calls them optional.
ALWAYS = {
    f"{A}/access/apps": ("id", "aud", "policies", "cors_headers", "mfa_config"),
    f"{A}/access/policies": ("id", "account_id", "connection_rules", "mfa_config", "exclude"),
    f"{A}/access/service_tokens": ("id", "client_id", "enabled", "duration"),
}


def broken(exchanges: Iterable[Exchange]) -> list[str]:
    """What is wrong with any of the requests and answers, a line each."""
    found = [f"{e.request.method} {e.request.path} {line}" for e in exchanges for line in _one(e)]
    return [line for line in found if not any(known.search(line) for known in KNOWN)]


def operation(request: Request) -> str:
    """The key of this request in OPERATIONS. KeyError: the SDK has no such operation."""
    line = f"{request.method} {request.path}"
    for name in OPERATIONS:
        if re.fullmatch(name.replace("*", "[^/]+"), line):
            return name
    raise KeyError(line)


def _one(exchange: Exchange) -> list[str]:
    request, status, envelope = exchange
    try:
        name = operation(request)
    except KeyError:
        return ["is unknown to the SDK"]
    query, body, result = OPERATIONS[name]
    found = _sent("query", _nested(request.query), query) + _sent("body", request.body or {}, body)
    if query is None and request.query:
        found.append(f"query: {', '.join(request.query)} is unknown")
    for number, error in enumerate(envelope["errors"]):
        found += wrong(error, ResponseInfo, f"errors[{number}]")
    if envelope["errors"]:
        well = status >= 400 and envelope["success"] is False and envelope["result"] is None
        return found + ([] if well else [f"answers {status} with errors"])
    if status != (201 if name in CREATED else 202 if name == ACCEPTED else 200):
        found.append(f"answers {status}")
    return found + wrong(envelope["result"], result, "result") + _missing(name, envelope["result"])


def _missing(name: str, result: Any) -> list[str]:
    """The fields of ALWAYS that an object lacks."""
    method, path = name.split()
    always = ALWAYS.get(path.removesuffix("/*"), ()) if method != "DELETE" else ()
    listed = result if isinstance(result, list) else [result]
    found = [
        f"result: {field} is missing" for row in listed for field in always if field not in row
    ]
    of_apps = method != "DELETE" and path.removesuffix("/*") == f"{A}/access/apps"
    for row in listed if of_apps else ():
        found += ["policies: not expanded" for one in row["policies"] if "decision" not in one]
        public = [one for one in row.get("destinations", []) if one["type"] == "public"]
        found += ["result: no domain, although a destination has one"] * (
            bool(public) and "domain" not in row
        )
    return found


def _sent(where: str, value: Any, declared: Any) -> list[str]:
    """A query or a body: the parameters of the path are in neither."""
    if declared is None:
        return [f"{where}: {', '.join(value)} is unknown"] if where == "body" and value else []
    found = [f"{where}: {name} belongs in the path" for name in value if name in PARAMETERS]
    if where == "query":  # all that a query holds is text; the SDK says which of it are numbers
        value = {k: int(v) if str(v).isdigit() and k != "name" else v for k, v in value.items()}
    missing = tuple(f"{where}: {name} is missing" for name in PARAMETERS)
    return found + [line for line in wrong(value, declared, where) if line not in missing]


def _nested(query: dict[str, str]) -> dict[str, Any]:
    """`account.id=x` is the field `id` of `account`."""
    found: dict[str, Any] = {}
    for name, value in query.items():
        first, _, rest = name.partition(".")
        found[first] = {rest: value} if rest else value
    return found


def wrong(value: Any, declared: Any, at: str) -> list[str]:
    """How `value`, which came from JSON, differs from the type that the SDK declares."""
    origin, arguments = get_origin(declared), get_args(declared)
    if declared in (Any, object):
        return []
    if origin in (Annotated, Required, NotRequired):
        return wrong(value, arguments[0], at)
    if origin in (Union, UnionType):
        return min((wrong(value, one, at) for one in arguments), key=len)
    if origin is Literal:
        return [] if value in arguments else [f"{at}: {value!r} is none of {arguments}"]
    if origin is dict:
        if not isinstance(value, dict):
            return [f"{at}: no object"]
        return [line for k, v in value.items() for line in wrong(v, arguments[1], f"{at}.{k}")]
    if origin is not None:  # list, Iterable, SequenceNotStr
        if not isinstance(value, list):
            return [f"{at}: no list"]
        every = enumerate(value)
        return [line for n, one in every for line in wrong(one, arguments[0], f"{at}[{n}]")]
    if is_typeddict(declared):
        hints = get_type_hints(declared, include_extras=True)
        fields = {name: (hint, get_origin(hint) is Required) for name, hint in hints.items()}
        return _fields(value, fields, at)
    if isinstance(declared, type) and issubclass(declared, BaseModel):
        if "__pydantic_extra__" in vars(declared):  # it takes any field
            return [] if isinstance(value, dict) else [f"{at}: no object"]
        models = declared.model_fields.items()
        fields = {f.alias or name: (f.annotation, f.is_required()) for name, f in models}
        return _fields(value, fields, at)
    return [] if _is(value, declared) else [f"{at}: {value!r} is no {declared.__name__}"]


def _fields(value: Any, fields: dict[str, tuple[Any, bool]], at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at}: no object"]
    found = [f"{at}: {name} is unknown" for name in value if name not in fields]
    needed = [name for name, (_, required) in fields.items() if required]
    found += [f"{at}: {name} is missing" for name in needed if name not in value]
    for name in value.keys() & fields.keys():
        found += wrong(value[name], fields[name][0], f"{at}.{name}")
    return found


def _is(value: Any, declared: type) -> bool:
    if declared is datetime:
        try:
            return datetime.fromisoformat(value).tzinfo is not None
        except (TypeError, ValueError):
            return False
    if declared is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is declared
