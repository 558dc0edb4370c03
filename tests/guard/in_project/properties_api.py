"""The API behind the guard in test_properties.py: runs the guard's functions on what it is sent."""

import base64

from guard import identity, keys, read_json, reply, settings, strictjson, token
from guard.refusal import NotConfigured, Refused

FINE = {"TEAM_DOMAIN": "acme", "POLICY_AUD": "0" * 64, "ALLOWED_SERVICE_TOKENS": ["*"]}


async def handle(request, who, env):
    """One answer for each input: the result, or the kind of exception."""
    if request.js_object.method == "GET":
        return reply(who.as_dict())
    sent = await read_json(request)
    function = FUNCTIONS[sent["function"]]
    return reply([answer(function, each) for each in sent["inputs"]])


def answer(function, value):
    try:
        return {"result": function(value)}
    except (Refused, NotConfigured) as error:
        return {"error": type(error).__name__}
    except ValueError:
        return {"error": "ValueError"}
    except Exception as error:
        return {"error": repr(error)}


def decode(text):
    return base64.b64encode(token.decode(text)).decode()


def loads(document):
    return strictjson.loads(base64.b64decode(document))


def too_deep(document):
    return strictjson.too_deep(base64.b64decode(document))


def key_id(text):
    return token.key_id(token.parse(text))


def caller(value):
    payload, variables, now = value
    chosen = settings.load(variables)
    claims = token.claims(base64.b64decode(payload), chosen, now)
    return identity.from_claims(claims, chosen).as_dict()


def public_keys(document):
    return dict(keys.public_keys(base64.b64decode(document)))


def load(variables):
    """The settings, with lists for sets."""
    chosen = settings.load(variables)
    emails = sorted([*chosen.emails, *(f"@{domain}" for domain in chosen.domains)])
    return [chosen.issuer, sorted(chosen.audiences), emails, sorted(chosen.service_tokens)]


def same_address(value):
    listed, claimed = value
    emails = frozenset([settings.fold(listed)])
    chosen = settings.load({**FINE, "ALLOWED_EMAILS": ["*"]})
    return chosen._replace(emails=emails).allows_email(claimed)


FUNCTIONS = {
    function.__name__: function
    for function in (decode, loads, too_deep, key_id, caller, public_keys, load, same_address)
}
