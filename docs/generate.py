"""Write the generated pages of the documentation: `python docs/generate.py`.

The command line, the settings and the reasons describe themselves; these pages say it again
for reading, and a test fails when a page is not what this program would write.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from typer import Typer
from typer.models import ArgumentInfo

from curate.cli.main import app
from curate.config import template
from curate.report.reasons import kind, meanings

DOCS = Path(__file__).parent
SHARED = {"--project", "--json", "--quiet", "--verbose"}
"""Flags of every command, told once."""
_NOTE = "<!-- Written by docs/generate.py: change what it reads, then run `make reference`. -->\n\n"


def pages() -> dict[Path, str]:
    """Return every generated page with its content."""
    return {
        DOCS / "reference" / "cli.md": _NOTE + cli_page(),
        DOCS / "reference" / "configuration.md": _NOTE + configuration_page(),
        DOCS / "reference" / "reasons.md": _NOTE + reasons_page(),
        DOCS / "reference" / "manifest.md": _NOTE + manifest_page(),
        DOCS / "decisions" / "README.md": _NOTE + decisions_page(),
    }


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag or an argument of a command, as its signature declares it."""

    names: tuple[str, ...]
    """Its spellings, the shortest first; none for an argument."""
    value: str
    """What stands for its value; empty for a switch."""
    text: str
    """What it does."""


def commands() -> dict[str, tuple[str, list[Flag]]]:
    """Return every command by its whole name, e.g. `manifest show`, with help and flags."""
    found = _commands(app, "")
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found |= _commands(group.typer_instance, f"{group.name} ")
    return dict(sorted(found.items()))


def _commands(program: Typer, before: str) -> dict[str, tuple[str, list[Flag]]]:
    found = {}
    for info in program.registered_commands:
        assert info.callback is not None
        parameters = inspect.signature(info.callback).parameters.values()
        flags = [_declared(each) for each in parameters if each.name != "ctx"]
        name = info.name or info.callback.__name__
        found[before + name] = (inspect.getdoc(info.callback) or "", flags)
    return found


def _declared(parameter: inspect.Parameter) -> Flag:
    kind, info = get_args(parameter.annotation)
    text = str(info.help or "")
    kinds = {bool: "", int: "N", float: "X", str: "TEXT", Path: "PATH"}
    parts = {each for part in (kind, *get_args(kind)) for each in (part, *get_args(part))}
    value = next((word for each, word in kinds.items() if each in parts), "TEXT")
    if isinstance(info, ArgumentInfo):
        return Flag((), info.metavar or parameter.name.upper(), text)
    # In an Annotated alias, the first spelling stands where a default stood in older Typers.
    given = [each for each in (info.default, *(info.param_decls or ())) if isinstance(each, str)]
    names = [name for each in given for name in each.split("/")]
    return Flag(tuple(sorted(names, key=len)), info.metavar or value, text)


def cli_page() -> str:
    """Describe every command and its flags."""
    known = commands()
    parts = [
        "# Command line\n",
        "Results go to stdout, talk to stderr. A flag that sets a setting wins over the "
        "environment, and that over `curate.toml`: see [configuration](configuration.md). "
        "Exit codes and the keys of `--json` are under [output](output.md).\n",
        "Every command has:\n",
        _table(flag for flag in known["fetch"][1] if set(flag.names) & SHARED),
        "and `-h`, `--help`. `curate --version` prints the version, and "
        "`curate --install-completion` sets up completion for your shell.\n",
    ]
    parts += [_command(name, *each) for name, each in known.items()]
    return "\n".join(parts)


def _command(name: str, text: str, flags: list[Flag]) -> str:
    own = [flag for flag in flags if not set(flag.names) & SHARED]
    words = [flag.value for flag in own if not flag.names]
    usage = " ".join(["curate", name, *words, *(["[FLAGS]"] if len(own) > len(words) else [])])
    return f"## curate {name}\n\n{text}\n\n```text\n{usage}\n```\n\n{_table(own)}"


def _table(flags: Iterable[Flag]) -> str:
    lines = []
    for flag in flags:
        names = ", ".join(f"`{name}`" for name in flag.names)
        value = f"`{flag.value}`".replace("|", "\\|") if flag.value else ""
        lines.append(f"| {f'{names} {value}'.strip()} | {_cell(flag.text)} |")
    return "\n".join(["| flag | what it does |", "|---|---|", *lines, ""]) if lines else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def configuration_page() -> str:
    """Show the settings file with every setting."""
    return (
        "# Configuration\n\n"
        "No file is needed. `curate init` writes this `curate.toml` into the project folder; "
        "each line is a setting with its default.\n\n"
        f"```toml\n{template()}```\n\n"
        "A setting `key` of `[section]` can also be given by the environment variable "
        "`CURATE_SECTION_KEY`, for example `CURATE_FETCH_TRIES=3`, and many by a flag. A flag wins "
        "over the environment, the environment over `curate.toml`, and that over the default.\n\n"
        "Secrets never stand in `curate.toml`. The Unsplash access key is read from "
        "`UNSPLASH_ACCESS_KEY`.\n"
    )


def reasons_page() -> str:
    """List every reason with its meaning and what happens next."""
    after = {"retried": "tried again", "refused": "never requested", "final": "given up"}
    rows = [
        f"| `{each}` | {_cell(text)} | {after[kind(each)]} |" for each, text in meanings().items()
    ]
    return (
        "# Reasons\n\n"
        "Every candidate without an image has one of these reasons: `curate status` counts them, "
        "`curate fetch --retry REASON` puts those failures back into the queue.\n\n"
        "| reason | meaning | then |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "What is tried again is given up after five tries, with the reason of the last. "
        "`corrupt` is tried once more, if it was downloaded: the bytes may have been damaged on "
        "the way.\n"
    )


def manifest_page() -> str:
    """Show the description that lies beside the example manifest."""
    text = (DOCS.parent / "manifests" / "README.md").read_text(encoding="utf-8")
    return re.sub(r"^# .*", "# Manifests", text, count=1)


def decisions_page() -> str:
    """List the decisions by their titles."""
    rows = []
    for path in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0]
        title = re.sub(r"^# *(\d+ *[.:] *)?", "", title)
        rows.append(f"- {path.name[:4]}: [{title[:1].upper()}{title[1:]}]({path.name})")
    return (
        "# Decisions\n\n"
        "What was chosen, what it was measured against, and what it costs. A decision that no "
        "longer holds gets a new page, and its own says so.\n\n" + "\n".join(rows) + "\n"
    )


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(DOCS.parent))


if __name__ == "__main__":
    main()
