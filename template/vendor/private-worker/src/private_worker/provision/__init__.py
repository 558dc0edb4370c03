"""`provision`: sets up Cloudflare Access for this Worker. Without --apply it only shows the plan.

It walks through `_steps` twice: dry, which gives the plan and finds what would stop it; and, with
--apply, for real. An object is its own if it has the exact name that `Walk.name` gives. Any other
application is changed only if --adopt names it, any other policy never. Nothing is deleted.
"""

import argparse
import re
import sys

from .. import guard_rules
from ..api import NotFound, account_id, client, get
from ..config import PLACEHOLDER, Config
from ..guard_rules import ANYONE
from ..project import WRANGLER, Problem
from ..text import plain, shown
from .application import login_method, protect
from .service_tokens import client_id_of, command, service_tokens
from .walk import CHANGE, KEEP, Walk, called, field_of, object_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--apply", action="store_true", help="carry the plan out")
    add("--env", metavar="NAME", help="an environment of wrangler.jsonc")
    add("--account-id", metavar="ID", help="the Cloudflare account")
    add("--service-token", metavar="NAME", action="append", help="a token to let in, or to create")
    secret_help = "gets a new secret on its standard input, such as 'gh secret set NAME'"
    add("--secret-to", metavar="COMMAND", type=command, help=secret_help)
    add("--adopt", metavar="ID", help="change this application, which provision did not create")


def run(options: argparse.Namespace) -> int:
    config = Config(options.project.root / WRANGLER)
    config.block(options.env)  # a wrong --env is named before anything is asked
    api = client()
    account = account_id(api, options.account_id, config)
    plan = Walk(api, account, options, apply=False)
    _steps(plan)
    print(f"Account {account}, {plain(plan.block.name)} of wrangler.jsonc", *plan.lines, sep="\n")
    if all(line.startswith(KEEP) for line in plan.lines):
        print("\nNothing to do: everything is as it should be.")
    else:
        plan.by_hand.append(f"Deploy, so that the new settings count: {plan.deploy}")
        plan.by_hand.append(f"Then look from outside whether all is closed: {plan.probe}")
        if options.apply:
            print("\nCarrying it out:", flush=True)
            try:
                _steps(Walk(api, account, options, apply=True))
            except (Problem, KeyboardInterrupt) as error:
                for line in (str(error) or "stopped", "To go on, run it again."):
                    print(f"private-worker: {line}", file=sys.stderr)
                return 1 if isinstance(error, Problem) else 130
        else:
            print("\nNothing was changed. To carry this out, add --apply.")
    if plan.by_hand:
        print("\nLeft to do by hand:", *plan.by_hand, sep="\n- ")
    return 0


def _steps(walk: Walk) -> None:
    """Every step, in the order in which the Worker stays closed all the time. Raises Problem."""
    team, worker = _team(walk), _worker(walk)
    emails, client_ids = _who(walk, team)
    login = login_method(walk) if emails else None
    tokens = service_tokens(walk, client_ids)
    found = protect(walk, worker, emails, tokens, login, ANYONE in emails + (client_ids or []))
    aud = field_of(found, "aud", r"[0-9a-f]{64}", "the application")
    named = [] if ANYONE in (client_ids or []) else [client_id_of(row) for row in tokens]
    _write_settings(walk, team, aud, named)


def _team(walk: Walk) -> str:
    """The issuer, such as https://acme.cloudflareaccess.com."""
    found = get(walk.api, walk.path("access/organizations"))
    pattern = r"[a-z0-9-]+\.cloudflareaccess\.com"
    domain = field_of(found, "auth_domain", pattern, "the Zero Trust organisation")
    walk.note(KEEP, f"team domain {domain}")
    if walk.shape.machines and not found.get("strict_service_token_auth"):
        where = "Zero Trust > Access controls > Access settings"
        walk.by_hand.append(f"Turn on strict service token authentication in {where}")
    return f"https://{domain}"


def _worker(walk: Walk) -> str:
    """The Worker's id, which outlives its name."""
    try:
        found = get(walk.api, walk.path("workers/workers", walk.worker))
    except NotFound:
        said = f"account {walk.account} has no Worker {shown(walk.worker)}"
        raise Problem(f"{said}: first {walk.deploy}, or give its --account-id") from None
    worker = object_of(found, "the Worker")
    walk.note(KEEP, f"Worker {called(worker)}")
    return str(worker["id"])


def _who(walk: Walk, team: str) -> tuple[list[str], list[str] | None]:
    """The addresses and the Client IDs that the guard lets in.

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
    return sorted(settings.emails), None if unset else sorted(settings.service_tokens)


def _write_settings(walk: Walk, team: str, aud: str, client_ids: list[str]) -> None:
    """TEAM_DOMAIN, POLICY_AUD and new Client IDs; nothing else in the file changes."""
    details, paths = [], [walk.block.path]
    if not walk.block.path and isinstance(walk.config.get(("previews", "vars")), dict):
        paths.append(("previews",))
    for path in paths:
        old = walk.config.get((*path, "vars"))
        wanted = {
            "TEAM_DOMAIN": _team_domain(old.get("TEAM_DOMAIN"), team),
            "POLICY_AUD": _policy_aud(old.get("POLICY_AUD"), aud),
        }
        listed = str(old.get("ALLOWED_SERVICE_TOKENS"))
        missing = any(one not in listed for one in client_ids)
        if missing and (path == walk.block.path or PLACEHOLDER in listed):
            wanted["ALLOWED_SERVICE_TOKENS"] = client_ids
        for name, value in wanted.items():
            if old.get(name) != value:
                at = (*path, "vars", name)
                walk.config.put(at, value)
                details.append(f"{'.'.join(at)}: {shown(old.get(name))} -> {shown(value)}")
    if walk.apply and details:
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
