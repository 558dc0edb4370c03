"""One walk over what `provision` sets up, and how it reads and writes a single object."""

import argparse
import json
import re
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from ..api import NotFound, Row, get, rows, write
from ..config import Config
from ..project import WRANGLER, Problem, Project
from ..text import plain, shown

NEW = "(new)"  # stands in the plan for what does not exist yet
CREATE, CHANGE, KEEP, DELETE = "+ create", "~ change", "= keep", "- delete"
# What a GET gives and a PUT does not take. The account is in the path.
READ_ONLY = ("id", "uid", "aud", "created_at", "updated_at", "app_count", "reusable", "account_id")
# Lists show what is new only seconds later. Until then, a second run would create it again.
TRAILING = 20.0


class Walk:
    """One walk, which writes only with `apply`. Without it, it gives the plan."""

    def __init__(self, api: Any, account: str, options: argparse.Namespace, apply: bool) -> None:
        self.api, self.account, self.options, self.apply = api, account, options, apply
        project: Project = options.project
        self.root, self.shape = project.root, project.shape
        self.config = Config(project.root / WRANGLER)
        self.block = self.config.block(options.env)
        self.worker = self.config.worker_name(options.env)
        self.lines: list[str] = []  # the plan
        self.by_hand: list[str] = []  # what is left
        self.wrote = project.root / ".wrangler" / "provision"  # as old as the last POST or DELETE

        # What to type for this environment.
        self.env = f" --env {shlex.quote(options.env)}" if options.env else ""
        scripts = {None: "npm run deploy", "staging": "npm run deploy:staging"}
        other = f"uv run private-worker locked && uv run pywrangler deploy{self.env}"
        self.deploy = scripts.get(options.env, other)
        given = self.env
        if self.shape.exposure == "workers_dev":
            given += " --subdomain '<your-subdomain>'"
        self.probe = "npm run probe" + (f" --{given}" if given else "")

    def path(self, kind: str, key: str = "") -> str:
        return f"/accounts/{self.account}/{kind}" + (f"/{quote(key, safe='')}" if key else "")

    def listed(self, kind: str) -> list[Row]:
        return [object_of(row, kind) for row in rows(self.api, self.path(kind))]

    def find_worker(self, key: str) -> Row | None:
        """A Worker by its name or id."""
        try:
            return object_of(get(self.api, self.path("workers/workers", key)), "the Worker")
        except NotFound:
            return None

    def name(self, what: str = "") -> str:
        """The exact name of what provision creates."""
        return f"{self.worker}{what} (private-worker)"

    def note(self, mark: str, what: str, details: Sequence[str] = ()) -> None:
        self.lines.append("\n    ".join([f"{mark} {what}", *details]))
        if self.apply and mark != KEEP:
            print(f"done: {mark[2:]} {what}", flush=True)

    def create(self, kind: str, what: str, body: Row, at_once: Any = lambda made: None) -> Row:
        """POST, then `at_once` before anything else. The plan gets an object of placeholders."""
        what = f"{what} {shown(body['name'])}"
        if not self.apply:
            self.note(CREATE, what, [f"{name}: {shown(value)}" for name, value in body.items()])
            return {**body, "id": NEW, "aud": NEW, "client_id": NEW}
        self._remember()
        made = object_of(write(self.api, "POST", self.path(kind), body), what)
        try:
            at_once(made)
        finally:
            self.note(CREATE, what)
        return made

    def _remember(self) -> None:
        """That the lists are about to change, also if this run is interrupted."""
        try:
            self.wrote.parent.mkdir(exist_ok=True)
            self.wrote.touch()
        except OSError as error:
            raise Problem(f".wrangler/provision cannot be written: {error.strerror}") from None

    def wait_for_lists(self) -> None:
        """Until the lists show what the last run did, whichever way it ended."""
        age = time.time() - self.wrote.stat().st_mtime if self.wrote.exists() else TRAILING
        if 0 <= age < TRAILING:
            print("Waiting: the lists may not show yet what was done.", flush=True)
            time.sleep(TRAILING - age)

    def delete(self, kind: str, what: str, row: Row) -> None:
        what = f"{what} {called(row)}"
        if self.apply:
            self._remember()
            with suppress(NotFound):  # the run before did it
                write(self.api, "DELETE", self.path(kind, row["id"]))
        self.note(DELETE, what)

    def update(self, kind: str, what: str, row: Row, wanted: Row, details: list[str]) -> None:
        """PUT, if something differs. It replaces the object, so all else is sent back."""
        what = f"{what} {called(row)}"
        if details and self.apply:
            path = self.path(kind, row["id"])
            new = {**object_of(get(self.api, path), what), **wanted}
            body = {name: value for name, value in new.items() if name not in READ_ONLY}
            write(self.api, "PUT", path, without_nulls(body))
        self.note(CHANGE if details else KEEP, what, details)


def differences(row: Row, wanted: Row, inside: str = "") -> list[str]:
    """A line for each field that differs, old and new. `inside`: the field that `row` stands in."""
    found = []
    for name, value in wanted.items():
        old = row.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            found += differences(old, value, f"{inside}{name}.")
        elif _comparable(old) != _comparable(value):
            found.append(f"{inside}{name}: {shown(old)} -> {shown(value)}")
    return found


def _comparable(value: Any) -> Any:
    """The order of rules has no meaning, nor has case; missing is null, false or empty."""
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        set_in = [{k: v for k, v in one.items() if v not in (None, [])} for one in value]
        value = sorted(json.dumps(one, sort_keys=True).lower() for one in set_in)
    return value or None


def without_nulls(value: Any) -> Any:
    """Null means the same as a field that is not there, and a PUT may be refused for it."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def only(found: list[Row], what: str) -> Row | None:
    if len(found) > 1:
        listed = ", ".join(map(called, found))
        raise Problem(f"several {what} match; rename or remove all but one: {listed}")
    return found[0] if found else None


def field_of(row: object, name: str, pattern: str, what: str) -> str:
    """A field of the API's answer, if it has the right form. Raises Problem."""
    value = row.get(name) if isinstance(row, dict) else None
    if isinstance(value, str) and (value == NEW or re.fullmatch(pattern, value)):
        return value
    raise Problem(f"Cloudflare's answer for {what} has no usable {name}: {shown(value)}")


def object_of(row: Any, what: str) -> Row:
    """The API's object, which must have an id. Raises Problem."""
    field_of(row, "id", r"[A-Za-z0-9-]{1,64}", what)
    return dict(row)


def called(row: Row) -> str:
    return f"{shown(row.get('name'))} ({plain(row.get('id'))})"
