"""The routes of the audit page. Who gets here has passed the guard (`curate.web.guard`).

Files come from a fixed table, images by their 64 digits only: no part of a path that somebody
sends is ever joined to a folder. Answers are JSON or pictures; the one page is a file.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi import Path as Part
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response

from curate.carriers.auditing import MOST_TILES, Auditing
from curate.carriers.deciding import Deciding
from curate.errors import CurateError, UsageError
from curate.label.grid import View
from curate.web.desk import Desk
from curate.web.forms import Sent, Wanted

PAGE = "audit.html"
_HTML = "text/html; charset=utf-8"
_CSS = "text/css; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"
FILES: Mapping[str, str] = {
    "audit.css": _CSS,
    "icon.svg": "image/svg+xml",
    "audit.js": _SCRIPT,
    "bar.js": _SCRIPT,
    "clock.js": _SCRIPT,
    "dialogs.js": _SCRIPT,
    "dom.js": _SCRIPT,
    "keys.js": _SCRIPT,
    "outbox.js": _SCRIPT,
    "server.js": _SCRIPT,
    "steps.js": _SCRIPT,
    "tiles.js": _SCRIPT,
    "work.js": _SCRIPT,
}
"""What may be asked for below /static/, with its type."""
_FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
"""The bytes behind an image id never change."""

router = APIRouter()

ImageId = Annotated[str, Part(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Query(max_length=500)]
Size = Annotated[int, Query(ge=1, le=MOST_TILES)]
ImageIdQuery = Annotated[str, Query(pattern=r"^[0-9a-f]{64}$")]
Start = Annotated[str, Query(pattern=r"^([0-9a-f]{64})?$")]


def build(desk: Desk, project_id: str) -> FastAPI:
    """Return the application, without its guard.

    Args:
        desk: what routes may ask for.
        project_id: tells the browser's stored work of one project from another's.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    app.state.project_id = project_id
    app.include_router(router)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(CurateError, _expected)
    return app


async def _not_understood(_request: Request, _error: Exception) -> Response:
    """Refuse without repeating what was sent."""
    return JSONResponse({"error": "that is not something this page sends"}, 422)


async def _expected(_request: Request, error: Exception) -> Response:
    """A wrong question is the page's fault; a full disk is nobody's, and may pass."""
    status = 400 if isinstance(error, UsageError) else 503
    return JSONResponse({"error": str(error)}, status)


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _annotator(request: Request) -> str:
    return str(request.scope["state"]["annotator"])


def _view(
    state: Text = "open",
    name: Annotated[str | None, Query(alias="class", max_length=500)] = None,
    queue: Text = "",
    person: Text = "",
    sort: Text = "worst",
) -> View:
    return View(state, name, queue, person, sort)


AtDesk = Annotated[Desk, Depends(_desk)]
By = Annotated[str, Depends(_annotator)]
Viewed = Annotated[View, Depends(_view)]


# Files


@router.get("/")
async def page() -> Response:
    """The page itself."""
    return _file(PAGE, _HTML)


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Its scripts, styles and icon."""
    if name not in FILES:
        raise HTTPException(404)
    return _file(name, FILES[name])


def _file(name: str, media_type: str) -> Response:
    data = resources.files("curate.web").joinpath("static", name).read_bytes()
    # Asked for anew each time: a page must not outlive the version that serves it.
    return Response(data, media_type=media_type, headers={"cache-control": "no-cache"})


# Reading


@router.get("/api/start")
async def start(request: Request, desk: AtDesk, annotator: By) -> dict[str, Any]:
    """What a page needs to begin with."""
    found = await desk.read(Auditing.start, annotator)
    options = desk.options
    return {
        **found,
        "project": request.app.state.project_id,
        "queue": options.queue,
        "overlap": options.overlap,
    }


@router.get("/api/page")
async def tiles_of_page(
    desk: AtDesk, annotator: By, view: Viewed, after: Start = "", size: Size = 20
) -> dict[str, Any]:
    """The images after one."""
    return await desk.read(Auditing.page, annotator, view, after, size)


@router.get("/api/before")
async def tiles_before(
    desk: AtDesk, annotator: By, view: Viewed, image: ImageIdQuery, size: Size = 20
) -> dict[str, Any]:
    """The images before one."""
    return await desk.read(Auditing.before, annotator, view, image, size)


@router.get("/api/batch")
async def batch(desk: AtDesk, annotator: By, queue: Text = "", size: Size = 20) -> dict[str, Any]:
    """Images given to this annotator to decide."""
    overlap = max(1, desk.options.overlap)
    return await desk.read(Auditing.batch, annotator, queue, overlap, size)


@router.post("/api/tiles")
async def tiles(desk: AtDesk, annotator: By, wanted: Wanted) -> dict[str, Any]:
    """Some images as they stand now."""
    return await desk.read(Auditing.seen, annotator, wanted.images, wanted.queue)


@router.get("/api/counts")
async def counts(
    desk: AtDesk, _annotator: By, person: Text = "", queue: Text = ""
) -> dict[str, Any]:
    """How many images there are by state and by class."""
    return await desk.read(Auditing.counts, person, queue)


@router.get("/api/changes")
async def changes(
    desk: AtDesk, _annotator: By, after: Annotated[int, Query(ge=0, le=2**62)]
) -> dict[str, Any]:
    """Which images have been decided since."""
    return await desk.read(Auditing.changes, after)


@router.get("/api/image/{image_id}")
async def facts(desk: AtDesk, _annotator: By, image_id: ImageId) -> dict[str, Any]:
    """All that is known of an image."""
    found = await desk.read(Auditing.facts, image_id)
    if found is None:
        raise HTTPException(404)
    return found


# Writing


@router.post("/api/decisions")
async def decide(desk: AtDesk, annotator: By, sent: Sent) -> Response:
    """Keep decisions; the answer is sent when they are on the disk."""
    if sent.annotator != annotator:
        return JSONResponse(
            {"error": "this session is somebody else's", "annotator": annotator}, 409
        )
    now = time.time()
    decisions = [each.decision(annotator, now) for each in sent.decisions]
    results = await desk.write(Deciding.add, decisions)
    ids = list(dict.fromkeys(each.image_id for each in sent.decisions))
    seen = await desk.read(Auditing.seen, annotator, ids, sent.queue)
    return JSONResponse({"results": results, **seen})


# Pictures


@router.get("/thumb/{image_id}")
async def thumb(desk: AtDesk, image_id: ImageId) -> Response:
    """A small picture."""
    made = await desk.paint(desk.thumbs.small, image_id)
    if made is None:
        raise HTTPException(404)
    return FileResponse(made, media_type="image/jpeg", headers=_FOREVER)


@router.get("/image/{image_id}")
async def image(desk: AtDesk, image_id: ImageId) -> Response:
    """A large picture."""
    made = await desk.paint(desk.thumbs.large, image_id)
    if made is None or not made[0].is_file():
        raise HTTPException(404)
    return FileResponse(made[0], media_type=made[1], headers=_FOREVER)
