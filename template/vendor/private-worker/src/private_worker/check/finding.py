"""What `check` looks for, rule by rule, and one finding of it."""

from collections.abc import Iterator
from typing import NamedTuple

from ..config import Config, Way

# Each rule and why it matters. The name is what `--json` shows and what `--allow` takes.
WHY = {
    "implicit-exposure": "Left out, it follows a default or the top level, which may open it.",
    "wrong-exposure": "The project was made for another way in. Access and the tests follow that.",
    "open-preview": "No Access application stands before the previews of this project.",
    "route-form": "wrangler refuses it, or the Worker answers on other addresses than you think.",
    "shared-hostname": "A deploy of one takes the address away from the other.",
    "worker-name": "A deploy of one environment would replace the Worker of another.",
    "shared-access": "Whoever may log in at one, such as production, gets into the other too.",
    "shared-service": "What is tried out in one changes what the other works with.",
    "shared-store": "What is tried out in one changes the data of the other.",
    "environment": "It is not an object, so nothing in it was checked.",
    "previews-block": "A preview takes no settings from above, so the guard would have none.",
    "not-inherited": "Vars and bindings are not taken from the top level. They are missing here.",
    "placeholder": "With a placeholder the deploy fails, or the Worker refuses every request.",
    "setting": "With this setting the guard refuses every request.",
    "secret-in-vars": "vars are not secret: they are in git and in the dashboard.",
    "vpc-in-services": "`services` binds Workers. A private service needs `vpc_services`.",
    "route": "It cannot say all that a list of routes can.",
    "keep-vars": "A var that you delete here stays in force, such as a list of who gets in.",
    "vpc-networks": "It reaches every host and port in there, whatever a caller makes it fetch.",
    "assets": "Unless the Worker comes first, Cloudflare serves them to anyone who asks.",
    "no-code": "Cloudflare calls it, and every call fails.",
    "no-configuration": "Cloudflare never calls it.",
    "no-role": "Nobody has a role that is not there, so everybody is refused.",
    "unused-role": "A reader would think that it lets some do more than others.",
    "no-migration": "Cloudflare refuses the deploy.",
    "not-deployed": "Your code does not find it at Cloudflare.",
    "hidden-module": "Python looks in src/ last, so the Worker imports the other one.",
    "main": "The guard is in src/entry.py. Another file would be deployed without it.",
    "unknown-key": "wrangler ignores it, so what it says is not in force.",
    "no-guard": "Cloudflare answers or calls there without asking the guard.",
    "open-dev": "Access does not stand before `npm run dev`.",
    "build": "It can change what is deployed after the checks, the guard included.",
    "cache": "An answer is then kept and given to others, before the guard is asked.",
    "unsafe": "Cloudflare takes it as it is, in place of what was checked here.",
    "compatibility-date": "It decides which Python runs. The tests run Python 3.14.",
    "compatibility-flags": "They decide whether Python runs, and which.",
    "other-config": "What was checked in wrangler.jsonc is then not what is built or deployed.",
    "edited-file": "The edited version is untested, and an update may undo the edit.",
    "version": "Another version deploys something else than what was tested, or nothing.",
    "lock": "It says which packages are tested and deployed. Without it, the newest ones are.",
    "ignored-file": "An update of the template overwrites it, your changes included.",
    "foreign-owner": "Git reads nothing there, so no file was searched for secrets.",
    "not-a-repository": "Only git knows which files are published, so none was searched.",
    "secret": "Whoever reads the repository can use it, its history included.",
    "local-file": "It is for secrets on your own machine.",
    "merge-marker": "A merge or an update was not finished here.",
    "reject-file": "Copier could not apply a part of an update and left it there.",
}


class Finding(NamedTuple):
    """One thing that is wrong. `line` counts from 1; 0 stands for the whole file."""

    rule: str
    file: str
    line: int
    wrong: str
    fix: str


Findings = Iterator[Finding]


def at(config: Config, path: Way, rule: str, wrong: str, fix: str) -> Finding:
    """A finding in wrangler.jsonc. `wrong` goes on after the name of what stands at `path`."""
    wrong = f"{'.'.join(map(str, path))} {wrong}"
    return Finding(rule, config.path.name, config.line(path), wrong, fix)
