"""The dataset: labels are balanced, split without leaks, and written as a manifest."""

from curate.pack.build import PackResult, pack
from curate.pack.manifest import Fault, Manifest, read_manifest, verify_manifest, versions
from curate.pack.recipe import Recipe
from curate.pack.schema import INPUT, MANIFEST

__all__ = [
    "INPUT",
    "MANIFEST",
    "Fault",
    "Manifest",
    "PackResult",
    "Recipe",
    "pack",
    "read_manifest",
    "verify_manifest",
    "versions",
]
