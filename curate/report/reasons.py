"""What each reason means, in one sentence, for reports and documentation.

The sentences are the docstrings beside the members of `Reason`. Python does not keep those,
so they are read from the source: each meaning is written in one place only.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Mapping

from curate.records import TRANSIENT, Reason


@functools.cache
def meanings() -> Mapping[Reason, str]:
    """Return every reason with its meaning, in the order of the enum."""
    tree = ast.parse(inspect.getsource(Reason)).body[0]
    assert isinstance(tree, ast.ClassDef)
    found: dict[Reason, str] = {}
    for member, note in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(member, ast.Assign) or not isinstance(note, ast.Expr):
            continue
        name, text = member.targets[0], note.value
        if isinstance(name, ast.Name) and isinstance(text, ast.Constant):
            found[Reason[name.id]] = str(text.value)
    return found


def kind(reason: Reason) -> str:
    """Return what happens after such a failure: `retried`, `refused` or `final`."""
    if reason in TRANSIENT:
        return "retried"
    return "refused" if reason is Reason.DENIED else "final"
