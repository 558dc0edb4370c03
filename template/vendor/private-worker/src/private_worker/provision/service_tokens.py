"""The service tokens that get in. A new one's secret is handed over at once, and never stored.

https://developers.cloudflare.com/cloudflare-one/access-controls/service-credentials/service-tokens/
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
from functools import partial

from ..guard_rules import ANYONE
from ..project import Problem
from ..text import plain, shown
from .walk import Row, Walk, field_of, only

CREDENTIALS = "Zero Trust > Access controls > Service credentials"


def service_tokens(walk: Walk, client_ids: list[str] | None) -> list[Row]:
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
    for client_id in client_ids or []:
        match = [row for row in listed if row.get("client_id") == client_id]
        if client_id != ANYONE and not match:
            raise Problem(f"ALLOWED_SERVICE_TOKENS: the account has no token {plain(client_id)}")
        found += match[:1]
    for name in dict.fromkeys(names):
        token = only([row for row in listed if row.get("name") == name], "service tokens")
        if token is None:
            found.append(_new_token(walk, name))
        elif token not in found:
            found.append(token)
            lost = f"If nobody has its secret, rotate it in {CREDENTIALS}"
            walk.by_hand.append(f"Service token {shown(name)} was there already. {lost}")
    return found


def client_id_of(token: Row) -> str:
    return field_of(token, "client_id", r"[A-Za-z0-9_-]+\.access", "a service token")


def command(text: str) -> list[str]:
    """--secret-to as words, of which the first is a command on this machine."""
    words = shlex.split(text)
    if not words or not shutil.which(words[0]):
        raise argparse.ArgumentTypeError(f"there is no command {shown(text)}")
    return words


def _new_token(walk: Walk, name: str) -> Row:
    """Creates a token. Ctrl-C waits until its secret has been handed over."""
    if walk.options.apply and not walk.options.secret_to and not sys.stdout.isatty():
        raise Problem(f"no terminal to show the secret of {shown(name)}: add --secret-to COMMAND")
    body = {"name": name, "duration": "8760h"}  # a year
    hand_over = partial(_hand_over, walk.options.secret_to, name)
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        token = walk.create("access/service_tokens", "service token", body, hand_over)
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
    return token


def _hand_over(words: list[str] | None, name: str, token: Row) -> None:
    """Gives the secret away at once: Cloudflare never shows it again."""
    secret, client_id = plain(token.get("client_secret") or ""), client_id_of(token)
    if not secret:
        raise Problem(f"service token {shown(name)} came without its secret: {CREDENTIALS}")
    if not words:
        return _show(client_id, secret)
    env = {**os.environ, "CF_ACCESS_CLIENT_ID": client_id, "CF_ACCESS_TOKEN_NAME": name}
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
        where = "is shown above" if kept else f"is lost, rotate it: {CREDENTIALS}"
        raise Problem(f"--secret-to: {said}; token {shown(name)} exists, its secret {where}")


def _show(client_id: str, secret: str) -> None:
    print(f"This secret is shown once. Keep it now.\n  CF_ACCESS_CLIENT_ID={client_id}")
    print(f"  CF_ACCESS_CLIENT_SECRET={secret}", flush=True)
