"""Download pings: Unsplash is told which photos were downloaded, as its guidelines require."""

from __future__ import annotations

from curate.catalog import errands
from curate.catalog.database import Database
from curate.errors import MissingKeyError, SourceError
from curate.sources.base import RateLimitedError, SourceContext

PINGS_A_RUN = 500
FAILED_PINGS = 5
"""So many that Unsplash does not answer are taken for an Unsplash that is down."""


def send(db: Database, context: SourceContext) -> None:
    """Send what is due; what fails stays due for the next run.

    Args:
        db: the catalog.
        context: the key, the API's URL, and whom to tell of a failure.
    """
    errands.queue_pings(db, "unsplash")
    waiting = errands.unsent_pings(db, PINGS_A_RUN)
    if not waiting:
        return
    from curate.sources.unsplash import UnsplashSource

    source = UnsplashSource(context)
    failed = 0
    for url in waiting:
        try:
            # One that Unsplash will never take is settled too: it would come first for ever.
            source.ping_download({"download_location": url})
        except SourceError as error:
            failed += 1
            is_final = isinstance(error, RateLimitedError | MissingKeyError)
            if is_final or failed == FAILED_PINGS:
                context.notify(f"Download pings wait for the next run: {error.message}.")
                return
        else:
            errands.mark_pinged(db, url, context.clock())
