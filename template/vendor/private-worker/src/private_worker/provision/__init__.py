"""`provision`: sets up Cloudflare Access for this Worker. Without --apply it only shows the plan.

It walks through its steps twice: dry, which gives the plan and finds what would stop it; and, with
--apply, for real. An object is its own if it has the exact name that `Walk.name` gives. Any other
application is changed only if --adopt names it, any other policy never. Only --remove deletes.
"""

import argparse
import re
import sys

from .. import guard_rules
from ..api import ENABLE, TOKEN, Row, account_id, client, get, write
from ..config import PLACEHOLDER, Config
from ..guard_rules import ANYONE
from ..project import WRANGLER, Problem
from ..text import plain, shown
from . import service_tokens
from .application import login_method, protect
from .remove import remove
from .walk import CHANGE, KEEP, Walk, called, field_of

# Instead of setting everything up, and the options that go with that ("") or with one of them.
ONLY = {"renew": service_tokens.renew, "rotate": service_tokens.rotate, "remove": remove}
GOES_WITH = {"grace": ("rotate",), "service_token": ("",), "adopt": ("",)}
NAMELESS = (
    "With Access on the whole Worker, a program may come without the header that names it: "
    "set CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET, and the probe says whether it gets in."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--apply", action="store_true", help="carry the plan out")
    add("--env", metavar="NAME", help="an environment of wrangler.jsonc")
    add("--account-id", metavar="ID", help="the Cloudflare account")
    add("--service-token", metavar="NAME", action="append", help="a token to let in, or to create")
    secret_help = "gets a new secret on its standard input, such as 'gh secret set NAME'"
    add("--secret-to", metavar="COMMAND", type=service_tokens.command, help=secret_help)
    add("--adopt", metavar="ID", help="change this application, which provision did not create")
    add = parser.add_mutually_exclusive_group().add_argument
    add("--renew", metavar="NAME", help="only let this service token be valid for a year more")
    add("--rotate", metavar="NAME", help="only give this service token a new secret")
    add("--remove", action="store_true", help="only delete what provision created for this Worker")
    grace_help = "how long the old secret goes on: 1d to 30d, or 0 (default: 7d)"
    parser.add_argument("--grace", metavar="TIME", type=service_tokens.grace, help=grace_help)


def run(options: argparse.Namespace) -> int:
    config = Config(options.project.root / WRANGLER)
    config.block(options.env)  # a wrong --env is named before anything is asked
    only = next((name for name in ONLY if getattr(options, name)), "")
    for option, good in GOES_WITH.items():
        if getattr(options, option) is not None and only not in good:
            what = f"together with --{only}" if only else "without --rotate"
            raise Problem(f"--{option.replace('_', '-')} does nothing {what}: leave it out")
    steps = ONLY.get(only, _steps)
    api = client()
    account = account_id(api, options.account_id, config)
    plan = Walk(api, account, options, apply=False)
    plan.wait_for_lists()
    steps(plan)
    print(f"Account {account}, {plain(plan.block.name)} of wrangler.jsonc", *plan.lines, sep="\n")
    nothing = all(line.startswith(KEEP) for line in plan.lines)
    if nothing:
        all_well = "Nothing to do: everything is as it should be."
        print("\nNothing to change." if plan.by_hand or steps is remove else f"\n{all_well}")
    else:
        if steps is _steps:
            plan.by_hand.append(f"Look from outside whether all is closed: {plan.probe}")
            listed = str(plan.block.vars.get("ALLOWED_SERVICE_TOKENS"))
            if plan.shape.nameless and ANYONE not in listed:
                plan.by_hand.append(NAMELESS)
        if options.apply:
            print("\nCarrying it out:", flush=True)
            try:
                steps(Walk(api, account, options, apply=True))
            except (Problem, KeyboardInterrupt) as error:
                again = "When that is put right, run it again: it goes on from there."
                if only == "rotate":  # unless it is known, by the message
                    known = isinstance(error, service_tokens.SecretLost | service_tokens.Stopped)
                    ask = f"First see whether it was rotated: {service_tokens.CREDENTIALS}"
                    again = "" if known else ask
                for line in filter(None, (str(error) or "stopped", again)):
                    print(f"private-worker: {line}", file=sys.stderr)
                return 1 if isinstance(error, Problem) else 130
        else:
            print("\nNothing was changed. To carry this out, add --apply.")
    if plan.by_hand:
        when = "Left to do by hand:" if options.apply or nothing else "After that, by hand:"
        print(f"\n{when}", *plan.by_hand, sep="\n- ")
    return 0


def _steps(walk: Walk) -> None:
    """Every step, in the order in which the Worker stays closed all the time. Raises Problem."""
    organisation = get(walk.api, walk.path("access/organizations"))
    worker = walk.find_worker(walk.worker)
    if worker is None:
        said = f"account {walk.account} has no Worker {shown(walk.worker)}"
        other = "If it is in another account, add --account-id."
        raise Problem(f"{said}. Deploy it first: {walk.deploy}. {other}")
    walk.note(KEEP, f"Worker {called(worker)}")
    team = _team(walk, organisation)
    emails, client_ids = _who(walk, team)
    login = login_method(walk) if emails else None
    tokens = service_tokens.of_worker(walk, client_ids)
    found = protect(walk, worker, emails, tokens, login, ANYONE in emails + (client_ids or []))
    aud = field_of(found, "aud", r"[0-9a-f]{64}", "the application")
    named = [service_tokens.client_id_of(row) for row in tokens if ANYONE not in (client_ids or [])]
    _write_settings(walk, team, aud, named)
    if walk.shape.machines and not organisation.get("strict_service_token_auth"):
        # A bad service token then gets an error, never a login page. It only closes, so it is last.
        if walk.apply:
            body = {"strict_service_token_auth": True}
            write(walk.api, "PATCH", walk.path("access/organizations"), body)
        details = ["strict_service_token_auth: false -> true, for all applications of the account"]
        walk.note(CHANGE, "Zero Trust organisation", details)


def _team(walk: Walk, organisation: Row) -> str:
    """The issuer, such as https://acme.cloudflareaccess.com."""
    if isinstance(organisation, dict) and not organisation.get("auth_domain"):
        raise Problem(f"account {walk.account} has no team domain: {ENABLE}")
    pattern = r"[a-z0-9-]+\.cloudflareaccess\.com"
    domain = field_of(organisation, "auth_domain", pattern, "the Zero Trust organisation")
    walk.note(KEEP, f"team domain {domain}")
    return f"https://{domain}"


def _who(walk: Walk, team: str) -> tuple[list[str], list[str] | None]:
    """The addresses, domains such as "@example.com", and Client IDs that the guard lets in.

    ANYONE leaves it to the owner's policies. None instead of Client IDs: we fill them in.
    """
    # The first two are filled in, too.
    values = {**walk.block.vars, "TEAM_DOMAIN": team, "POLICY_AUD": "0" * 64}
    listed = str(values.get("ALLOWED_SERVICE_TOKENS"))
    unset = walk.shape.machines and PLACEHOLDER in listed and "," not in listed
    if unset:
        values["ALLOWED_SERVICE_TOKENS"] = [ANYONE]
    try:
        settings = guard_rules.settings(walk.root, values)
    except guard_rules.NotConfigured as error:
        raise Problem(f"wrangler.jsonc, {walk.block.name}: {error}; write it there first") from None
    emails = sorted(settings.emails) + sorted(f"@{domain}" for domain in settings.domains)
    return emails, None if unset else sorted(settings.service_tokens)


def _write_settings(walk: Walk, team: str, aud: str, client_ids: list[str]) -> None:
    """TEAM_DOMAIN, POLICY_AUD and new Client IDs; nothing else in the file changes."""
    details, paths = [], [walk.block.path]
    if not walk.block.path and isinstance(walk.config.get(("previews", "vars")), dict):
        paths.append(("previews",))
    for path in paths:
        old = walk.config.get((*path, "vars"))
        wanted: Row = {
            "TEAM_DOMAIN": _team_domain(old.get("TEAM_DOMAIN"), team),
            "POLICY_AUD": _policy_aud(old.get("POLICY_AUD"), aud),
        }
        listed = str(old.get("ALLOWED_SERVICE_TOKENS"))
        missing = [one for one in client_ids if one not in listed]
        if missing and (path == walk.block.path or PLACEHOLDER in listed):
            there = old.get("ALLOWED_SERVICE_TOKENS") or []
            texts = map(str, there.split(",") if isinstance(there, str) else there)
            known = [one.strip() for one in texts if PLACEHOLDER not in one]
            wanted["ALLOWED_SERVICE_TOKENS"] = [*known, *missing]
        for name, value in wanted.items():
            was, at = old.get(name), (*path, "vars", name)
            if was == value:
                continue
            if was and isinstance(was, list) and value[: len(was)] == was:  # with its comments
                for one in value[len(was) :]:
                    walk.config.append(at, one)
            else:
                walk.config.put(at, value)
            details.append(f"{'.'.join(at)}: {shown(was)} -> {shown(value)}")
    if details:
        walk.by_hand.append(f"Commit wrangler.jsonc, then: unset {TOKEN} && {walk.deploy}")
        if walk.apply:
            walk.config.save()
    walk.note(CHANGE if details else KEEP, "wrangler.jsonc", details)


def _team_domain(old: object, team: str) -> object:
    """The old value if it means this team. Another team is most likely the wrong account."""
    label = team.removeprefix("https://").removesuffix(".cloudflareaccess.com")
    if re.fullmatch(rf"(https://)?{label}(\.cloudflareaccess\.com)?/*", str(old).lower()):
        return old
    if old and PLACEHOLDER not in str(old):
        said = f"TEAM_DOMAIN is {plain(old)}, but the team of this account is {team}"
        raise Problem(f"{said}: choose the account with --account-id, or correct wrangler.jsonc")
    return team


def _policy_aud(old: object, aud: str) -> object:
    """The old value if it holds the AUD. A list keeps its others, of more applications."""
    if aud in str(old).lower():
        return old
    if isinstance(old, list):
        return [*(one for one in old if PLACEHOLDER not in str(one)), aud]
    return aud
