"""The settings that the Worker has under `npm run dev`: .dev.vars over `vars` of wrangler.jsonc."""

from .. import guard_rules
from ..config import Config
from ..dev_vars import dev_vars
from ..guard_rules import NotConfigured, Settings
from ..project import Problem
from ..text import read


def settings_of(config: Config, environment: str | None, port: int) -> Settings:
    """The guard's own settings, whose keys come from this port of 127.0.0.1. Raises Problem."""
    for block in config.blocks():
        if guard_rules.is_local(block.vars):
            where = f"{config.path.name}, {block.name}"
            raise Problem(f"{where}: TEAM_DOMAIN is for your own machine. It belongs in .dev.vars")
    root, given = config.path.parent, config.block(environment).vars
    file = root / f".dev.vars.{environment}"  # the environment's own, or else
    if not environment or not file.is_file():
        file = root / ".dev.vars"
    if not file.exists():
        raise Problem("there is no .dev.vars: cp .dev.vars.example .dev.vars")
    variables = given | dev_vars(read(file))
    here = [f"http://{name}:{port}" for name in ("127.0.0.1", "localhost")]
    if variables.get("TEAM_DOMAIN") not in here:
        raise Problem(f'{file.name}: the keys must come from here: TEAM_DOMAIN="{here[0]}"')
    try:
        return guard_rules.settings(root, variables)
    except NotConfigured as error:
        raise Problem(f"{error}; compare {file.name} with .dev.vars.example") from None
