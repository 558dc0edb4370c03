"""The list under `_exclude` in copier.yml. An update renders the old version by the new list as
well: with the old answers, and with the files that the old version has in includes/.

https://github.com/copier-org/copier/issues/2482
"""

from collections.abc import Iterator, Mapping

from jinja2 import Environment, meta

import shapes
from rendered import everything, labelled, seed, withdrawn
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


def left_behind(released: Mapping[str, Template], new: Template, notes: str) -> Iterator[Problem]:
    """A file that the new list names, and that the new version has not for the same answers, stays
    in projects for ever: an update takes it for none of the template's."""
    here = everything(new)
    found: dict[str, Problem] = {}
    for version, old in released.items():
        for label, shape in labelled():
            stored = old.stored(shapes.answers(shape))
            before, now = old.context(stored)[0], new.context(stored)[0]
            lost = old.names(before) - new.names(now)
            for name in old.excluded(lost, new.exclude, before, "update"):
                if not seed(name, old) and withdrawn(name, notes, here):
                    continue
                what = f"an update would leave it in projects of {version} (answers {label})"
                do = "Take it out of `_exclude`"
                if not seed(name, old):
                    do += f", or name `{name}` in the update notes so that people delete it"
                found.setdefault(name, Problem(name, what, do))
    yield from found.values()
