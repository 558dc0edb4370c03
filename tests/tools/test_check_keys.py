"""`check` knows every key of wrangler.jsonc, and a secret by its name or form.

The judge of the keys is the schema of the wrangler that the template installs: a new wrangler with
another key makes these fail, until somebody has said what the key can do.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from private_worker.check.finding import WHY
from private_worker.check.keys import (
    ALL,
    EXPORTS,
    KEYS,
    NOT_INHERITED,
    PREVIEWS,
    TOP_ONLY,
    UNWANTED,
)
from private_worker.check.secrets import is_secret


@pytest.fixture(scope="module")
def schema(node_modules: Path) -> dict[str, Any]:
    text = (node_modules / "wrangler/config-schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)["definitions"]
    return found


def keys(schema: dict[str, Any], kind: dict[str, Any]) -> set[str]:
    """All keys of a definition, whichever of its forms has them."""
    found = set(kind.get("properties", {}))
    for form in kind.get("anyOf", []):
        found |= keys(schema, schema[form["$ref"].split("/")[-1]] if "$ref" in form else form)
    return found


def test_every_key_is_judged_once(schema: dict[str, Any]) -> None:
    listed = sorted(key for keys in KEYS.values() for key in keys)
    assert listed == sorted(keys(schema, schema["RawConfig"]))


def test_each_block_has_the_keys_that_wrangler_reads_there(schema: dict[str, Any]) -> None:
    assert ALL - TOP_ONLY == keys(schema, schema["RawEnvironment"])
    assert keys(schema, schema["PreviewsConfig"]) == PREVIEWS
    assert keys(schema, schema["ConfiguredExport"]) == EXPORTS


def test_not_inherited_is_what_wrangler_says(schema: dict[str, Any]) -> None:
    """Its schema leaves out three."""
    marked = {
        key
        for key, value in schema["RawEnvironment"]["properties"].items()
        if "not automatically inherited" in json.dumps(value)
    }
    assert len(marked) > 30
    assert marked | {"durable_objects", "k2", "version_metadata"} == NOT_INHERITED


def test_nothing_harmless_is_refused() -> None:
    assert set(UNWANTED) <= ALL - set(KEYS["is harmless"])


def test_the_page_names_rules() -> None:
    """docs/reference/what-opens.md, of wrangler.jsonc."""
    page = (ROOT / "docs" / "reference" / "what-opens.md").read_text(encoding="utf-8")
    rows = page.split("## In `wrangler.jsonc`")[1].split("|---|\n")[1]
    named = re.findall(r"^\| [^|]+ \| `([\w-]+)` \|", rows, re.MULTILINE)
    assert len(named) == len(rows.splitlines()) > 5 and set(named) <= set(WHY)


WORD = "Zm9vYmFyYmF6cXV4"  # 16 letters, as a key may look
SECRETS = (
    ("CLIENT_SECRET", "x"),
    ("clientSecret", "x"),
    ("DB_PASSWORD", "x"),
    ("db-passwd", "x"),
    ("GPG_PASSPHRASE", "x"),
    ("API_KEY", "x"),
    ("apiKeys", "x"),
    ("GH_TOKEN", "x"),
    ("API_TOKEN_2", "x"),
    ("AWS_SECRET_ACCESS_KEY", "x"),
    ("ENCRYPTION_KEY", "x"),
    ("GOOGLE_CREDENTIALS", "{}"),
    ("STRIPE_KEY", WORD),
    ("SUPABASE_SERVICE_ROLE_KEY", WORD),
    ("SMTP_PASS", "x"),
    ("DB_PWD", "x"),
    ("Authorization", "Bearer x"),
    ("x-api-key", "x"),
    ("SECRET_KEY_BASE", "x"),
    ("COOKIE_SECRET_OLD", "x"),
    ("SLACK", "https://hooks.slack.com/services/T0/B0/x"),
    ("MIRROR", f"https://{WORD}@git.example.com/a"),
    ("LOGIN", "https://example.com/?user=ann&password=x"),
    ("DB", '{"host": "db.example.com", "password": "x"}'),
    ("DATABASE", "postgres://ann:made-up@db.example.com/x"),
    ("REDIS", "rediss://:made-up@redis.example.com:6379"),
    ("FEED", f"https://api.example.com/feed?api_key={WORD}"),
    ("HOOK", f"https://hooks.example.com/?a=b&access_token={WORD}"),
)
NO_SECRETS = (
    ("MAX_TOKENS", "5"),
    ("TOKEN_LIFETIME", "3600"),
    ("SECRET_NAME", "stripe"),
    ("PASSWORD_MIN_LENGTH", "12"),
    ("API_KEY_HEADER", "x-api-key"),
    ("TOKEN_URL", "https://login.example.com/token"),
    ("CREDENTIALS", "include"),
    ("REQUIRE_TOKEN", "true"),
    ("FIRST_TOKEN", "1"),
    ("ALLOWED_SERVICE_TOKENS", "a.access"),
    ("PUBLIC_KEY", WORD),
    ("SORT_KEY", "customer_last_name"),
    ("CACHE_KEY", "invoices-of-the-month"),
    ("STRIPE_KEY", "short"),
    ("KEYBOARD", "qwerty"),
    ("MONKEY", WORD),
    ("SITE", "https://example.com:1/@b"),
    ("LOCAL", "postgres://postgres:postgres@localhost:5432/postgres"),
    ("LOCAL_6", "postgres://postgres:postgres@[::1]:5432/postgres"),
    ("NEXT", "https://api.example.com/list?page_token=2&sort_key=name"),
    ("LOCAL_DB", "postgres://app:app@db:5432/app"),
    ("DOCKER", "postgres://app:app@host.docker.internal/app"),
    ("TURNSTILE_SITE_KEY", WORD),
    ("STRIPE_PUBLISHABLE_KEY", WORD),
    ("JWKS_KEY", "https://login.example.com/keys"),
    ("secret", "MY_STORED_SECRET"),
    ("BYPASS", "x"),
    ("COMPASS", "x"),
    ("MAIL", "mailto:ann@example.com"),
)


@pytest.mark.parametrize(("name", "text"), SECRETS)
def test_a_secret(name: str, text: str) -> None:
    assert is_secret(name, text)


@pytest.mark.parametrize(("name", "text"), NO_SECRETS)
def test_no_secret(name: str, text: str) -> None:
    assert not is_secret(name, text)
