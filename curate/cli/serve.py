"""`curate serve`: one model behind HTTP."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from curate.cli import options as opt
from curate.cli.prelabel import ModelFlags, ModelOption
from curate.cli.session import Session, command
from curate.errors import ExitCode

HostOption = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="Address of this machine to listen on.")
]
PortOption = Annotated[
    int,
    typer.Option(
        "--port", metavar="N", parser=opt.whole(0, 65535), help="Port; 0: any that is free."
    ),
]
MegabytesOption = Annotated[
    int,
    typer.Option(
        "--max-megabytes",
        metavar="N",
        parser=opt.whole(1, 1000),
        help="Largest picture, in megabytes.",
    ),
]
MegapixelsOption = Annotated[
    int,
    typer.Option(
        "--max-megapixels",
        metavar="N",
        parser=opt.whole(1, 500),
        help="Largest picture, judged from its header, in millions of pixels.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(serve)


def serve(
    session: Session,
    model: ModelOption,
    known: ModelFlags,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    max_megabytes: MegabytesOption = 20,
    max_megapixels: MegapixelsOption = 50,
) -> ExitCode:
    """Score pictures over HTTP, with a page to drop one on.

    POST /scorefile/ takes a picture and answers the score of each class. Ctrl-C stops it.
    """
    from curate.assist.model import open_model
    from curate.web.scoring import Scorer, names_of
    from curate.web.serve import ServeLimits, build, listen, run

    wish = known.wish()
    with listen(host, port) as at:
        opened = open_model(model, wish)
        for each in opened.guesses:
            session.say(f"{model.name}: {each}")
        limits = ServeLimits(max_bytes=max_megabytes * 1024 * 1024)
        app = build(Scorer(opened, names_of(opened), max_megapixels * 1_000_000), limits)
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{at.getsockname()[1]}/"
        document = {"url": url, "model": model.name, "sha256": opened.sha256}
        session.show(document, lambda console: console.print(url, soft_wrap=True))
        sys.stdout.flush()
        try:
            run(app, at, limits)
        except KeyboardInterrupt:
            session.say("stopped")
    return ExitCode.DONE
