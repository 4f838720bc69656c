"""`curate audit`: a page in the browser, to confirm and correct labels by keyboard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli import options as opt
from curate.cli.session import Session, command
from curate.errors import CurateError, ExitCode

if TYPE_CHECKING:
    from curate.project import Project
    from curate.web.run import Page

PortOption = Annotated[
    int | None,
    typer.Option(
        "--port",
        metavar="N",
        parser=opt.whole(0, 65535),
        help="Port; 0: any that is free. [default: always the same for a project]",
        show_default=False,
    ),
]
NoOpenOption = Annotated[
    bool, typer.Option("--no-open", help="Only print the link; open no browser.")
]
QueueOption = Annotated[str, typer.Option("--queue", metavar="NAME", help="Begin with this queue.")]
AnnotatorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--annotator",
        metavar="NAME",
        help="Who decides; each name given gets a link. [default: as curate.toml says, else your "
        "user name]",
    ),
]
OverlapOption = Annotated[
    int,
    typer.Option(
        "--overlap",
        metavar="K",
        parser=opt.whole(0),
        help="Give images out, each to K annotators. [default: everybody sees all]",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(audit)


def audit(
    session: Session,
    port: PortOption = None,
    no_open: NoOpenOption = False,
    manifest: opt.OnlyManifestOption = None,
    queue: QueueOption = "",
    annotator: AnnotatorOption = None,
    overlap: OverlapOption = 0,
) -> ExitCode:
    """Confirm and correct labels in the browser, by keyboard.

    Prints a link that is good once; the page is served until Ctrl-C. Every decision is on
    the disk before the page says "saved".
    """
    import webbrowser

    from curate.web.desk import Options
    from curate.web.run import audit_page

    project = session.project()
    if not project.exists:
        raise CurateError(
            "there are no images to look at",
            "get some first, e.g. `curate fetch --query beach` or `curate import FOLDER`",
        )
    names = _names(project, annotator or [])
    project.learning.fill_queue(queue)
    options = Options(manifest or "", queue, overlap)
    with audit_page(session.project, session.folder, names, options, port) as page:
        try:
            _tell(session, page)
            if not no_open:
                webbrowser.open(page.links[names[0]])
            page.serve()
        except KeyboardInterrupt:
            pass  # this is how it is meant to end
    session.say("Stopped. Every decision that the page called saved is in the catalog.")
    return ExitCode.DONE


def _tell(session: Session, page: Page) -> None:
    """Print the links to stdout at once: whoever reads them waits for them."""
    if session.as_json:
        print(json.dumps({"port": page.port, "links": page.links}), flush=True)
    elif len(page.links) == 1:
        print(next(iter(page.links.values())), flush=True)
    else:
        for name, link in page.links.items():
            print(f"{name}\t{link}", flush=True)
    if not page.is_usual_port:
        session.say(
            f"Served on port {page.port}, not on this project's own: work that a browser could "
            "not send before shows there."
        )
    session.say(
        "Each link is good once, in one browser. Press ? on the page for its keys. Ctrl-C stops."
    )


def _names(project: Project, given: list[str]) -> list[str]:
    """Return who gets a link: each once, as the ledger takes their names."""
    from curate.carriers.labeling import user_name
    from curate.label.ledger import check_name

    wanted = given or [project.settings.label.annotator.strip() or user_name(project.environ)]
    names = list(dict.fromkeys(name.strip() for name in wanted))
    for name in names:
        check_name(name)
    return names
