"""Which keys wrangler.jsonc has, which it must have, and which it must not.

https://developers.cloudflare.com/workers/wrangler/configuration/
"""

import re
from difflib import get_close_matches
from typing import Any

from ..config import Block, Config, Way
from ..project import Project
from ..text import shown
from .finding import Findings, at

# Every key of wrangler 4.164.0, by what it can do.
KEYS = {
    "is harmless": """
        $schema access account_id compliance_region dependencies_instrumentation dev env
        jsx_factory jsx_fragment keep_names limits logfwdr logpush migrations minify name
        observability placement preserve_file_names python_modules send_metrics
        streaming_tail_consumers tail_consumers tsconfig upload_source_maps""",
    "is a way in": """
        addresses connect durable_objects exports first_party_worker preview_urls previews queues
        route routes triggers workers_dev workflows""",
    "answers before the guard": "assets cache pages_build_output_dir site",
    "decides what runs": """
        alias base_dir build compatibility_date compatibility_flags data_blobs define
        find_additional_modules main no_bundle rules text_blobs wasm_modules""",
    "is a binding": """
        agent_memory ai ai_search ai_search_namespaces analytics analytics_engine_datasets artifacts
        browser cloudchamber containers d1_databases dispatch_namespaces flagship hyperdrive images
        k2 kv_namespaces media mtls_certificates pipelines r2_buckets ratelimits send_email services
        stream unsafe unsafe_hello_world vectorize version_metadata vpc_networks vpc_services
        worker_loaders""",
    "is a setting or a secret": "keep_vars secrets secrets_store_secrets vars",
}
ALL = {key for keys in KEYS.values() for key in keys.split()}
TOP_ONLY = set(
    """
    $schema addresses alias data_blobs dependencies_instrumentation dev env keep_vars
    pages_build_output_dir send_metrics site text_blobs wasm_modules
    """.split()
)
# What an environment does not take from the top level: bindings, and some more.
NOT_INHERITED = {*KEYS["is a binding"].split(), "secrets", "secrets_store_secrets", "vars"}
NOT_INHERITED |= {"connect", "define", "durable_objects", "queues", "workflows"}
NOT_INHERITED |= {"streaming_tail_consumers", "tail_consumers"}
PREVIEWS = NOT_INHERITED | {"cache", "limits", "logpush", "observability", "placement"}
EXPORTS = set(
    """
    cache concurrency container default_retention jurisdiction limits name renamed_to schedules
    state storage transfer_from transferred_to type
    """.split()
)
# What must not stand there: the rule, and what to do.
DELETE = "Delete it."
AT_BUILD = "Delete it: nobody has tested or checked what it makes of the code."
UNWANTED = {
    "addresses": ("no-guard", "Delete it: a Worker of its own can take e-mail, and call this one."),
    "alias": ("build", AT_BUILD),
    "base_dir": ("build", "Delete it: then the files of src/ are deployed, which were checked."),
    "build": ("build", AT_BUILD),
    "cache": ("cache", DELETE),
    "connect": ("no-guard", DELETE),
    "define": ("build", AT_BUILD),
    "first_party_worker": ("no-guard", DELETE),
    "keep_vars": ("keep-vars", "Delete this line."),
    "pages_build_output_dir": ("no-guard", "Delete it: a Worker that wrangler deploys has none."),
    "route": ("route", 'Write a list instead: "routes": [...],'),
    "site": ("no-guard", 'Write "assets" instead, with "run_worker_first": true.'),
    "unsafe": ("unsafe", DELETE),
    "vpc_networks": (
        "vpc-networks",
        'Bind one service: "vpc_services": [{"binding": "...", "service_id": "..."}],',
    ),
}
# What must stand there, as it is to be written. These an environment inherits.
# https://developers.cloudflare.com/workers/configuration/compatibility-flags/
WANTED = {
    "name": '"...", and another one in each environment',
    "main": '"src/entry.py"',
    "compatibility_date": '"2026-09-08" or a later date: the first with Python 3.14',
    "compatibility_flags": '["python_workers"], and none that takes away what the guard needs',
}
# Python itself, and the names by which the guard knows the runtime's own events.
TAKEN_AWAY = re.compile(
    r"python_workers_20250116|(no|disable)_(enable_)?python_.*|do_not_set_tostring_tag"
)


def findings(config: Config, project: Project) -> Findings:
    """All keys that are wrong or missing."""
    for block in config.blocks():
        there = PREVIEWS if block.is_previews else ALL - TOP_ONLY if block.path else ALL
        yield from unknown(config, block.path, block.settings, there)
        for key, (rule, fix) in UNWANTED.items():
            if is_on(block.settings.get(key)) and key in there:
                yield at(config, (*block.path, key), rule, "must not be set", fix)
        for key, wanted in () if block.is_previews else WANTED.items():
            value = block.settings.get(key)
            if not is_right(key, value) and (key in block.settings or not block.path):
                rule = "worker-name" if key == "name" else key.replace("_", "-")
                wrong = "is missing" if value is None else f"is {shown(value, 70)}"
                yield at(config, (*block.path, key), rule, wrong, f'"{key}": {wanted}')
        for name, export in block.object("exports").items():
            if isinstance(export, dict):  # such as a Durable Object, which has keys of its own
                path = (*block.path, "exports", name)
                yield from unknown(config, path, export, EXPORTS)
                if is_on(export.get("cache")):
                    yield at(config, (*path, "cache"), "cache", "must not be set", DELETE)
        yield from not_inherited(config, block)
    dev = config.block(None).object("dev")
    for key in ("ip", "inspector_ip"):  # where `npm run dev` listens
        if str(dev.get(key, "localhost")) not in ("localhost", "127.0.0.1", "::1"):
            wrong = "lets in other computers, as whoever access.dev names"
            yield at(config, ("dev", key), "open-dev", wrong, "Delete it.")


def unknown(config: Config, path: Way, settings: dict[str, Any], known: set[str]) -> Findings:
    """Keys that wrangler does not read here. Misspelt, `routes` would leave an old route on."""
    for key in sorted(settings.keys() - known):
        near = get_close_matches(key, known, 1, 0.8)
        fix = f'Write "{near[0]}".' if near else "Delete it, or write it where it belongs."
        wrong = "is no key that wrangler reads here"
        yield at(config, (*path, key), "unknown-key", wrong, fix)


def not_inherited(config: Config, block: Block) -> Findings:
    """Vars and bindings of the top level that an environment or `previews` lacks."""
    for key in sorted(NOT_INHERITED):
        there = names(key, block.settings.get(key))
        for name in names(key, config.data.get(key)):
            if name not in there:
                wrong = f"lacks {name}, which the top level has"
                fix = f"Repeat {name} here, with the value that is right for {block.name}."
                yield at(config, (*block.path, key), "not-inherited", wrong, fix)


def is_on(value: Any) -> bool:
    """Whether it is set, and not in order to turn it off."""
    return bool(value) and not (isinstance(value, dict) and value.get("enabled") is False)


def is_right(key: str, value: Any) -> bool:
    """Whether a key of WANTED has a value that Python 3.14 and the guard run with."""
    if key == "compatibility_flags":
        flags = value if isinstance(value, list) else []
        lost = any(TAKEN_AWAY.fullmatch(str(flag)) for flag in flags)
        return "python_workers" in flags and not lost
    if key == "name":
        return isinstance(value, str) and value != ""
    if key == "main":
        return str(value).removeprefix("./") == "src/entry.py"
    form = re.fullmatch(r"\d{4}-\d\d-\d\d", str(value), re.ASCII)
    return bool(form) and value >= "2026-09-08"  # Cloudflare refuses one in the future


def names(key: str, value: Any) -> list[str]:
    """The vars, secrets or bindings under a key. The key stands for one without a name."""
    if key == "vars":
        return list(value) if isinstance(value, dict) else []
    found = value if isinstance(value, list) else [value] if value else []
    if isinstance(value, dict):  # such as {"bindings": [...]} of durable_objects
        lists = [each for each in value.values() if isinstance(each, list)]
        found = [item for each in lists for item in each] or found
    # A container's `name` is no binding, but that of an application at Cloudflare.
    name = "binding" if key == "containers" else "name"
    named = [item if isinstance(item, dict) else {"binding": item} for item in found]
    return [str(item.get("binding", item.get(name, key))) for item in named]
