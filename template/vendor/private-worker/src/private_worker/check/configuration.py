"""What `check` reads in wrangler.jsonc besides addresses.

https://developers.cloudflare.com/workers/wrangler/configuration/
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from .. import guard_rules
from ..config import PLACEHOLDER, STRING, Block, Config, Way
from ..project import ON_HOSTNAME, Project
from ..text import shown
from .finding import Finding, Findings, at
from .keys import DATA, KEYS, NOT_INHERITED, names

# The guard's vars, each with a value that the guard takes.
GUARD_VARS: dict[str, object] = {"TEAM_DOMAIN": "team", "POLICY_AUD": "0" * 64}
GUARD_VARS |= dict.fromkeys(("ALLOWED_EMAILS", "ALLOWED_SERVICE_TOKENS", "ALLOWED_WORKERS"), "*")
GUARD_VARS |= {"ROLES": {}, "LOG_WHO": "none", "LOG_KEY": None}
OPTIONAL = (("roles", "ROLES"), ("who", "LOG_WHO", "LOG_KEY"))
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# What each environment has for itself: the way to it, and what of it is compared.
ITS_OWN = {("name",): r'"(.+)"', ("vars", "POLICY_AUD"): r"[0-9a-f]{64}"}
for _key in (*KEYS["is a binding"], "durable_objects", "queues", "workflows"):
    _names = DATA["its_own"]["bindings"].split() + ["name"] * (_key == "workflows")
    ITS_OWN[(_key,)] = rf'"(?:{"|".join(_names)})": "((?!replace_with)[^"]+)"'


def findings(config: Config, project: Project) -> Findings:
    """All that is wrong in wrangler.jsonc besides addresses and keys."""
    root = project.root
    for name, (reader, further_up) in DATA["other_files"].items():
        for folder in (root, *root.parents) if further_up else (root,):
            if (folder / name).is_file():
                wrong = f"There is also {folder / name}, which {reader}"
                yield Finding("other-config", name, 0, wrong, "Move that file away.")
    for match in re.finditer(STRING, config.plain):
        if PLACEHOLDER in match[0].upper() or re.fullmatch(r'"<[^"]*>"', match[0]):
            line, wrong = config.line_at(match.start()), f"{match[0]} is not filled in"
            fix = "Put in the real one; see docs/SETUP.md."
            yield Finding("placeholder", config.path.name, line, wrong, fix)
    if "other" in project.shape.agents and not project.shape.other_redirect_uris:
        wrong = "The answer agents has others, and agent_redirect_uris says nothing of them"
        fix = "Type: uvx copier update --vcs-ref=:current: --data agent_redirect_uris=<its URI>"
        yield Finding("redirect-uri", ".copier-answers.yml", 0, wrong, fix)
    # Only what is an object is looked at.
    environments: dict[Way, Any] = {("env",): config.data.get("env", {})}
    for name, settings in config.block(None).object("env").items():
        environments["env", name] = settings
    for path, value in environments.items():
        if not isinstance(value, dict):
            fix = 'Write: "env": {"staging": {...}},'
            yield at(config, path, "environment", f"is {shown(value, 70)}", fix)
    yield from shared(config)
    for block in config.blocks():
        yield from guard(config, project, block)
        yield from services(config, block)
        yield from assets(config, project, block)


def shared(config: Config) -> Findings:
    """What two environments share. Previews share with their own environment on purpose."""
    owners: dict[tuple[Way, str], str] = {}  # what it is and its id -> environment
    blocks = [(block, environment_of(block)) for block in config.blocks()]
    for block, environment in blocks:
        for key in ("services", "durable_objects", "workflows"):
            if not block.is_previews:  # a binding may name the Worker
                owners.setdefault(((key,), name_of(config, block)), environment)
    for block, environment in blocks:
        for path, pattern in ITS_OWN.items():
            value = config.get((*block.path, *path))
            if path == ("name",) and not block.is_previews:
                value = name_of(config, block)
            if path == ("analytics_engine_datasets",):  # one left out is named as the binding
                items = [item for item in block.items(path[0]) if isinstance(item, dict)]
                value = [{"dataset": item.get("binding"), **item} for item in items]
            for same in set(re.findall(pattern, json.dumps(value).lower())):
                owner = owners.setdefault((path, same), environment)
                if owner != environment:
                    wrong = f"has {same}, which belongs to {owner}"
                    fix = f"Write one here that is only for {block.name}."
                    rule = DATA["shared"].get(path[0], "shared-store")
                    yield at(config, (*block.path, *path), rule, wrong, fix)


def environment_of(block: Block) -> str:
    """What a block belongs to, for a person."""
    return ".".join(block.path[:2]) if block.path[:1] == ("env",) else "the top level"


def name_of(config: Config, block: Block) -> str:
    """The name of a block's Worker, in small letters."""
    made = "-".join([str(config.data.get("name")), *block.path[1:2]])
    return str(block.settings.get("name") or made).lower()


def assets(config: Config, project: Project, block: Block) -> Findings:
    """Files that Cloudflare serves itself, unless the Worker, and so the guard, comes first.

    https://developers.cloudflare.com/workers/static-assets/binding/#run_worker_first
    """
    given, path = block.settings.get("assets"), (*block.path, "assets")
    if given is None:
        return
    right = isinstance(given, dict) and given.get("run_worker_first") is True
    if not (right and given.get("binding")):
        fix = 'Write: "assets": { "directory": "...", "binding": "ASSETS", '
        fix += '"run_worker_first": true }, and serve them in src/api.py.'
        yield at(config, path, "assets", "does not leave every request to the guard", fix)
    elif project.shape.access_scope == "worker":
        wrong = "leaves the guard without `ctx.access`, so everybody gets a 403"
        yield at(config, path, "assets", wrong, ON_HOSTNAME)
    elif isinstance(given.get("directory"), str):
        folder = (project.root / given["directory"]).resolve()
        source = (project.root / "src").resolve()
        if source.is_relative_to(folder) or folder.is_relative_to(source):
            fix = "Give them a folder of their own, such as: public"
            yield at(config, path, "assets", "publishes the project's own files", fix)


def guard(config: Config, project: Project, block: Block) -> Findings:
    """The vars as the guard itself judges them. `keys` names those that an environment lacks."""
    for key in sorted(NOT_INHERITED - {"vars", "secrets"}):
        for name in GUARD_VARS.keys() & names(key, block.settings.get(key)):
            wrong = f"has a binding {name}, which is a setting of the guard"
            yield at(config, (*block.path, key), "setting", wrong, "Give it another name.")
    given = {**GUARD_VARS, **block.vars} if block.path else block.vars
    for name, problem in refusals(project, given):
        # `findings` names placeholders.
        if PLACEHOLDER not in json.dumps(block.vars.get(name)).upper():
            pages = {"ROLES": "WRITING", "LOG_WHO": "SECURITY", "LOG_KEY": "SECURITY"}
            fix = f"Correct {name}; see docs/{pages.get(name, 'SETUP')}.md."
            yield at(config, (*block.path, "vars", name), "setting", problem, fix)
    limits = [item.get("name") for item in block.items("ratelimits") if isinstance(item, dict)]
    if project.shape.limited and not block.path and "RATE_LIMIT" not in limits:
        fix = "Put it back, or type: uvx copier update --vcs-ref=:current: --defaults "
        fix += "--data requests_per_minute=0"
        yield at(config, (*block.path, "ratelimits"), "setting", "lacks RATE_LIMIT", fix)


def refusals(project: Project, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each var that the guard does not take, with what is wrong with it."""
    given, workers = dict(values), "ALLOWED_WORKERS"
    asked: list[tuple[Any, ...]] = [("settings", "load", given)] * len(GUARD_VARS)  # one at a time
    if not project.shape.edge:
        asked = [(module, "load", *map(given.get, read)) for module, *read in OPTIONAL]
    if project.shape.binding:
        asked.append(("values", "strings", workers, given.get(workers)))
    for module, function, *arguments in asked:
        try:
            if guard_rules.ask(project.root, module, function, *arguments) == []:
                yield workers, "names nobody, so nobody could be let in"
        except guard_rules.NotConfigured as error:
            yield error.setting, error.problem
            given[error.setting] = GUARD_VARS[error.setting]
    if guard_rules.is_local(values):
        yield "TEAM_DOMAIN", "is for your own machine. It belongs in .dev.vars"


def services(config: Config, block: Block) -> Findings:
    """Bindings to Workers. A private service written here is a common mistake.

    https://developers.cloudflare.com/workers-vpc/
    """
    for index, item in enumerate(block.items("services")):
        binding = item if isinstance(item, dict) else {}
        number = str(binding.get("service_id", binding.get("service")))
        if UUID.fullmatch(number) or {"service_id", "tunnel_id", "network_id"} & set(binding):
            form = json.dumps({"binding": binding.get("binding"), "service_id": number})
            path: Way = (*block.path, "services", index)
            fix = f'Write: "vpc_services": [{form}],'
            yield at(config, path, "vpc-in-services", "is a private service, not a Worker", fix)
