"""The list under `_exclude` in copier.yml. An update renders the old version by the new list as
well: with the old answers, and with the files that the old version has in includes/.

https://github.com/copier-org/copier/issues/2482
"""

from collections.abc import Iterator, Mapping

from jinja2 import Environment, meta

import shapes
from template import STOPS, Problem, Template, one_line

WHERE = "copier.yml, _exclude"


def exclude(released: Mapping[str, Template], new: Template) -> Iterator[Problem]:
    """The list can be rendered for a project of every release, and needs no other file."""
    if any(map(_files, new.exclude)):
        what = "it imports a file, which a release before this one has not, or has otherwise"
        yield Problem(WHERE, what, "Write the conditions into the list itself")
        return
    for version, old in released.items():
        for shape in shapes.selection():
            try:
                context = old.context(old.stored(shapes.answers(shape)))[0]
            except STOPS:
                continue  # a shape that this release did not know
            try:
                old.excluded(set(), new.exclude, context, "update")
            except STOPS as error:
                what = f"an update of a project of {version} would stop: {one_line(error)}"
                yield Problem(WHERE, what, "Use what that release had, or `| default(…)`")
                break


def _files(entry: str) -> bool:
    """Whether it imports, includes or extends another template."""
    return bool(list(meta.find_referenced_templates(Environment().parse(entry))))
