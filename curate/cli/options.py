"""Flags that more than one command has, each written once.

A flag that sets a setting takes its help and its default from `curate.config`; its own
default is always "not given".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.config import MOST, describe
from curate.records import Reason


def whole(least: int, most: int = MOST) -> Callable[[str], int]:
    """Return what reads a whole number of this range; the range is in the help text's words."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a whole number") from None
        if not least <= number <= most:
            bound = f"at least {least}" if number < least else f"at most {most}"
            raise typer.BadParameter(f"{text} is out of range: give {bound}")
        return number

    return read


def _setting(section: str, key: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=describe(section, key), metavar=metavar, show_default=False)


QueryOption = Annotated[
    list[str] | None,
    typer.Option("--query", help="What to search for; may be repeated.", metavar="TEXT"),
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="NAME",
        help="Where from: unsplash, gbif, dwca, urls, folder or a plug-in's name. "
        "[default: from the other flags; unsplash for --query]",
    ),
]
UrlsOption = Annotated[
    Path | None,
    typer.Option("--urls", metavar="FILE", help="A list of URLs: CSV, TSV, JSON Lines or Parquet."),
]
FolderOption = Annotated[
    Path | None, typer.Option("--folder", metavar="DIR", help="A folder of images.")
]
ArchiveOption = Annotated[
    Path | None,
    typer.Option(
        "--archive",
        metavar="FILE|DIR",
        help="A Darwin Core Archive, such as a GBIF download: zip, folder or a bare table.",
    ),
]
UrlColumnOption = Annotated[
    str | None,
    typer.Option(
        "--url-column", metavar="NAME", help="Column with the URL. [default: by its name]"
    ),
]
ClassColumnOption = Annotated[
    str | None,
    typer.Option(
        "--class-column", metavar="NAME", help="Column with the class. [default: by its name]"
    ),
]
ClassOption = Annotated[
    str | None,
    typer.Option(
        "--class",
        metavar="NAME",
        help='Class hint for all that is found; "" marks negatives. [default: the query]',
    ),
]
ClassByOption = Annotated[
    str | None,
    typer.Option("--class-by", metavar="COLUMN", help="Field that gives the class, e.g. species."),
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="KEY=VALUE", help="A parameter for the source's API; may be repeated."
    ),
]
LicenseOption = Annotated[
    str | None,
    typer.Option(
        "--license", metavar="LIST", help="Licences to take, e.g. cc0,cc-by. [default: all]"
    ),
]
PerClassOption = Annotated[
    str | None,
    typer.Option(
        "--per-class",
        metavar="N|all",
        help="Valid, distinct images to end with for each class; `all` lifts an earlier bound.",
    ),
]
ReachOption = Annotated[
    int | None,
    typer.Option(
        "--min-per-class",
        metavar="N",
        parser=whole(0),
        show_default=False,
        help="Leave out classes that cannot reach so many images; 0 lifts an earlier minimum.",
    ),
]
CapOption = Annotated[
    int | None,
    typer.Option(
        "--max-per-class",
        metavar="N",
        parser=whole(1),
        show_default=False,
        help="The same as --per-class N, as `curate plan` and `curate balance` call it.",
    ),
]
SpreadOption = Annotated[
    str | None,
    typer.Option(
        "--spread-by",
        metavar="LIST",
        help="Take a class's candidates in turns over these columns instead of the first ones, "
        "e.g. recordedBy,year,countryCode.",
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        help="Candidates to take from each search at most.",
        parser=whole(1),
        show_default=False,
    ),
]
RetryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--retry",
        metavar="REASON",
        help="Put failures of this reason back into the queue; may be repeated. "
        f"One of: {', '.join(Reason)}.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
]
LinkOption = Annotated[
    bool, typer.Option("--link", help="Hard-link files instead of copying them.")
]

SideOption = Annotated[
    str | None,
    typer.Option(
        "--side",
        help="Smallest variant whose shorter side is at least this many pixels, or `original`. "
        "[default: 1024]",
        metavar="PX|original",
    ),
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="HOST|CIDR",
        help="Host name or CIDR that may be private; may be repeated.",
    ),
]
ConnectionsOption = Annotated[
    int | None, _setting("fetch", "connections", "--connections", metavar="N")
]
PerHostOption = Annotated[int | None, _setting("fetch", "per_host", "--per-host", metavar="N")]
WorkersOption = Annotated[int | None, _setting("fetch", "workers", "--workers", metavar="N")]
TriesOption = Annotated[int | None, _setting("fetch", "tries", "--tries", metavar="N")]
KeepDamagedOption = Annotated[
    bool, typer.Option("--keep-damaged", help=describe("fetch", "keep_damaged"))
]
MaxWaitOption = Annotated[
    float | None, _setting("fetch", "max_wait_s", "--max-wait", metavar="SECONDS")
]

MinPerClassOption = Annotated[
    int | None, _setting("balance", "min_per_class", "--min-per-class", metavar="N")
]
MaxPerClassOption = Annotated[
    int | None, _setting("balance", "max_per_class", "--max-per-class", metavar="N")
]
SplitsOption = Annotated[str | None, _setting("balance", "splits", "--splits", metavar="A,B,C")]
SeedOption = Annotated[int | None, _setting("balance", "seed", "--seed", metavar="N")]
TrustOption = Annotated[str | None, _setting("balance", "trust", "--trust", metavar="ORIGIN")]
WhereOption = Annotated[str | None, _setting("balance", "where", "--where", metavar="EXPR")]
DownsampleOption = Annotated[
    str | None, _setting("balance", "downsample", "--downsample", metavar="min|N")
]
KeepOption = Annotated[
    str | None, _setting("balance", "keep", "--keep", metavar="random|best|spread")
]
SpreadByOption = Annotated[
    str | None, _setting("balance", "spread_by", "--spread-by", metavar="LIST")
]
UpsampleOption = Annotated[
    str | None, _setting("balance", "upsample", "--upsample", metavar="max|N")
]
NegativesOption = Annotated[
    float | None, _setting("balance", "negatives", "--negatives", metavar="SHARE")
]
GroupByOption = Annotated[str | None, _setting("balance", "group_by", "--group-by", metavar="LIST")]
HoldoutByOption = Annotated[
    str | None, _setting("balance", "holdout_by", "--holdout-by", metavar="COLUMN[=VALUE,…]")
]
FoldsOption = Annotated[int | None, _setting("balance", "folds", "--folds", metavar="K")]
FreshOption = Annotated[
    bool,
    typer.Option("--fresh", help="Split anew, whatever earlier manifests have put into test."),
]
IncludeUnlabelledOption = Annotated[
    bool,
    typer.Option(
        "--include-unlabelled",
        help="Take images without a trusted label along, in unlabelled.parquet.",
    ),
]

AnnotatorOption = Annotated[
    str | None, _setting("label", "annotator", "--annotator", metavar="NAME")
]
OnlyManifestOption = Annotated[
    str | None,
    typer.Option("--manifest", metavar="VERSION", help="Only images of this manifest."),
]
ManifestOption = Annotated[
    str | None,
    typer.Option("--manifest", metavar="VERSION", help="Which manifest. [default: the newest]"),
]
TruthOption = Annotated[
    str | None,
    typer.Option(
        "--trust",
        metavar="ORIGIN",
        help="Weakest origin of a label that counts: human, consensus, source or query. "
        "[default: consensus]",
        show_default=False,
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="How the model wants pixels: imagenet, keras-mobilenet, inception, raw, unit, caffe "
        "or symmetric. [default: as the model says, or as is guessed]",
        show_default=False,
    ),
]
OutputOption = Annotated[
    str | None,
    typer.Option("--output", metavar="NAME", help="Which of its outputs, if it has several."),
]
