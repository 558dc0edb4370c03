"""What would break `copier update` between two versions of the template.

The questionnaires are compared as they are written. What their rules mean for real answers is left
to Copier itself: it replays what people may have answered, without rendering a file. At last the
files of some copies are compared.
"""

from collections.abc import Callable, Iterable, Mapping

import exclusions
import migrations
import questionnaire
import rendered
import replay
from template import STOPS, Problem, Template, one_line

Rules = Callable[[], Iterable[Problem]]


def problems(
    released: Mapping[str, Template], new: Template, notes: str, version: str | None = None
) -> list[Problem]:
    """All that an update from the last of `released` would stumble over, and what would stop one
    from any of them. `notes` are the update notes: a change that they name is one that people are
    told of. `version` is that of `new`, if it has one already.

    What Copier says takes longer, and would be the same in other words. So the first group of
    rules that finds something is the last one.
    """
    last, old = list(released.items())[-1]
    groups: list[list[Rules]] = [
        [
            lambda: questionnaire.trust(new),
            lambda: questionnaire.settings(old, new, notes),
            lambda: questionnaire.questions(old, new),
            lambda: questionnaire.seeds(old, new),
            lambda: migrations.migrations(old, new, last, version),
            lambda: questionnaire.choices(old, new),
            lambda: exclusions.exclude(released, new),
        ],
        [
            lambda: replay.validators(old, new, notes),
            lambda: replay.every_pair(old, new, notes),
            lambda: rendered.owners(old, new, notes),
        ],
        [lambda: replay.replayed(old, new, notes)],
        [lambda: rendered.renders(old, new)],
        [
            lambda: rendered.paths(old, new, notes),
            lambda: exclusions.left_behind(released, new, notes),
            lambda: rendered.names(new),
            lambda: rendered.wrangler(old, new, notes),
        ],
    ]
    for group in groups:
        if found := [problem for rules in group for problem in _run(rules)]:
            return found
    return []


def _run(rules: Rules) -> Iterable[Problem]:
    """What stops one of Copier's or Jinja's tools is a line as well."""
    try:
        return list(rules())
    except STOPS as error:
        return [Problem("the template", one_line(error), "Correct it")]
