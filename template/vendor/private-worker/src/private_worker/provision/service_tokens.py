"""The service tokens that get in: made, renewed, rotated. A secret is handed over at once, and
never stored.

https://developers.cloudflare.com/cloudflare-one/access-controls/service-credentials/service-tokens/
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from ..api import TOKEN, Row, write
from ..guard_rules import ANYONE
from ..project import Problem
from ..text import plain, shown
from ..token_life import warning
from .walk import CHANGE, Walk, called, field_of, object_of, only


class SecretLost(Problem):
    """It was made, and nobody has it."""


class Stopped(KeyboardInterrupt):
    """By Ctrl-C, after the secret was handed over."""


CREDENTIALS = "Zero Trust > Access controls > Service credentials"
# What signs in at Cloudflare's API. The command that gets a secret does not get these.
# Nor does it get an older secret, which it could take for the new one.
API_CREDENTIALS = re.compile("(CLOUDFLARE|CF)_(API_.*|EMAIL)|CF_ACCESS_CLIENT_SECRET")


def of_worker(walk: Walk, client_ids: list[str] | None) -> list[Row]:
    """The tokens of these Client IDs and of --service-token, which are created if need be.

    Without any Client IDs yet it is one with the Worker's name.
    """
    names = walk.options.service_token or ([walk.worker] if client_ids is None else [])
    if not names and not client_ids:
        return []
    if not walk.shape.machines:
        raise Problem("--service-token: this Worker was made without machine callers")
    listed = walk.listed("access/service_tokens")
    found: list[Row] = []
    gone: list[str] = []
    for client_id in client_ids or []:
        match = [row for row in listed if row.get("client_id") == client_id]
        if client_id != ANYONE and not match:
            gone.append(plain(client_id))
        found += match[:1]
    if gone:
        said = f"ALLOWED_SERVICE_TOKENS lists what account {walk.account} does not have"
        raise Problem(f"{said}: {', '.join(gone)}. Take it out, or give another --account-id")
    for name in dict.fromkeys(names):
        named = [row for row in listed if row.get("name") in _names(walk, name)]
        token = only(named, "service tokens")
        if token is None:
            found.append(_new_token(walk, name))
        elif token not in found:
            found.append(token)
            lost = f"If nobody has its secret: {_new_secret(walk, name)}"
            walk.by_hand.append(f"Service token {called(token)} was there already. {lost}")
    _warn(walk, *found)
    return found


def _warn(walk: Walk, *tokens: Row) -> None:
    """Of those that let nobody in, now or soon."""
    for said in filter(None, map(warning, tokens)):
        walk.by_hand.append(said + (walk.env if "--renew" in said else f" See {CREDENTIALS}"))


def _names(walk: Walk, name: str) -> tuple[str, str]:
    """What a token of this name is called: by somebody else, or by us."""
    return name, walk.name("" if name == walk.worker else f": {name}")


def is_ours(walk: Walk, token: Row) -> bool:
    """Whether it has a name that we give."""
    name, (start, end) = str(token.get("name")), walk.name(": *").split("*")
    return name == walk.name() or (name.startswith(start) and name.endswith(end))


def _new_secret(walk: Walk, name: str) -> str:
    return f"npm run provision --{walk.env} --rotate {shlex.quote(name)} --grace 0"


def renew(walk: Walk) -> None:
    """--renew: the token is valid for a year more, and its secret stays. Raises Problem."""
    token = _let_in(walk, walk.options.renew, "--renew")
    details = [f"expires_at: {shown(token.get('expires_at'))} -> a year from now"]
    if walk.apply:
        done = write(walk.api, "POST", walk.path("access/service_tokens", token["id"]) + "/refresh")
        ends = object_of(done, "the service token").get("expires_at")
        print(f"The service token ends on {plain(ends)}.")
    _warn(walk, {**token, "expires_at": None})
    walk.note(CHANGE, f"service token {called(token)}", details)


def rotate(walk: Walk) -> None:
    """--rotate: a new secret, while the one before goes on until the end of --grace.

    Cloudflare knows one secret before the current one: another rotation ends the older one.
    """
    name, secret_to = walk.options.rotate, walk.options.secret_to
    token = _let_in(walk, name, "--rotate")
    old = timedelta(days=7) if walk.options.grace is None else walk.options.grace
    until = (datetime.now(UTC) + old).strftime("%Y-%m-%dT%H:%M:%SZ")
    ends = f"works until {until}" if old else "ends at once"
    with _secret_to_come(walk, name):
        if walk.apply:
            path = walk.path("access/service_tokens", token["id"]) + "/rotate"
            body = {"previous_client_secret_expires_at": until} if old else {}
            made = object_of(write(walk.api, "POST", path, body), "the service token")
            lost = f"is lost. The one before {ends}. When its program can take a new one at once, "
            lost += "rotate again: that may end the one before"
            _hand_over(secret_to, name, lost, {**token, **made})
    _warn(walk, token)
    walk.note(CHANGE, f"service token {called(token)}", [f"a new secret; the one before {ends}"])


def _let_in(walk: Walk, name: str, option: str) -> Row:
    """The token of this name, if the Worker lets it in. Raises Problem."""
    listed = walk.listed("access/service_tokens")
    token = only([row for row in listed if row.get("name") in _names(walk, name)], "service tokens")
    if token is None:
        said = ", ".join(shown(row["name"]) for row in listed if is_ours(walk, row)) or "none"
        raise Problem(f"{option}: there is no service token {shown(name)}. Of this Worker: {said}")
    # Not one that only other projects use, even if the guard would let it in.
    let_in = json.dumps(walk.block.vars.get("ALLOWED_SERVICE_TOKENS"))
    if client_id_of(token) not in let_in and token.get("name") != _names(walk, name)[1]:
        raise Problem(f"{option}: ALLOWED_SERVICE_TOKENS does not list service token {shown(name)}")
    return token


def grace(text: str) -> timedelta:
    """--grace as a time. Raises ArgumentTypeError."""
    match = re.fullmatch("([1-9]|[12][0-9]|30)d|0", text)
    if not match:
        raise argparse.ArgumentTypeError("give 1d to 30d, or 0 to end the old secret at once")
    return timedelta(days=int(match[1] or 0))


def client_id_of(token: Row) -> str:
    return field_of(token, "client_id", r"[A-Za-z0-9_-]+\.access", "a service token")


def command(text: str) -> list[str]:
    """--secret-to as words, of which the first is a command on this machine."""
    words = shlex.split(text)
    if not words or not shutil.which(words[0]):
        raise argparse.ArgumentTypeError(f"there is no command {shown(text)}")
    token = os.environ.get(TOKEN, "").strip()
    if token and token in text:
        raise argparse.ArgumentTypeError(f"the command must not hold what {TOKEN} holds")
    return words


def _new_token(walk: Walk, name: str) -> Row:
    body = {"name": _names(walk, name)[1], "duration": "8760h"}  # a year
    lost = f"is lost. Take another: {_new_secret(walk, name)}"
    hand_over = partial(_hand_over, walk.options.secret_to, name, lost)
    with _secret_to_come(walk, name):
        return walk.create("access/service_tokens", "service token", body, hand_over)


@contextmanager
def _secret_to_come(walk: Walk, name: str) -> Iterator[None]:
    """Raises Problem if nobody could see it. Ctrl-C waits until it has been handed over."""
    if walk.options.apply and not walk.options.secret_to and not sys.stdout.isatty():
        raise Problem(f"no terminal to show the secret of {shown(name)}: add --secret-to COMMAND")
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise Stopped("stopped, and the new secret was handed over")


def _hand_over(words: list[str] | None, name: str, lost: str, token: Row) -> None:
    """Gives the secret away at once: Cloudflare never shows it again. `lost`: what then is."""
    secret, client_id = plain(token.get("client_secret") or ""), client_id_of(token)
    if not secret:
        raise SecretLost(f"service token {shown(name)} came without its secret, which {lost}")
    if not words:
        return _show(client_id, secret)
    api_token = os.environ[TOKEN].strip()
    env = {
        name: value
        for name, value in os.environ.items()
        if api_token not in value and not API_CREDENTIALS.fullmatch(name)
    }
    env |= {"CF_ACCESS_CLIENT_ID": client_id, "CF_ACCESS_TOKEN_NAME": name}
    # No shell. The secret is on the standard input, where no other process sees it.
    try:
        done = subprocess.run(words, input=secret, text=True, env=env)
        said = f"exit status {done.returncode}" if done.returncode else ""
    except OSError as error:
        said = str(error.strerror)
    if said:
        kept = sys.stdout.isatty()
        if kept:
            _show(client_id, secret)
        where = "is shown above" if kept else lost
        what = f"so the new secret of {shown(name)} {where}"
        raise SecretLost(f"--secret-to failed ({said}), {what}")


def _show(client_id: str, secret: str) -> None:
    print(f"This secret is shown once. Keep it now.\n  CF_ACCESS_CLIENT_ID={client_id}")
    print(f"  CF_ACCESS_CLIENT_SECRET={secret}", flush=True)
