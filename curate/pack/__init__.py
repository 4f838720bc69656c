"""The dataset: labels are balanced, split without leaks, and written as a manifest."""

from curate.pack.build import pack
from curate.pack.manifest import Manifest, find_manifest, read_manifest, versions
from curate.pack.recipe import Recipe
from curate.pack.result import PackResult
from curate.pack.schema import INPUT, MANIFEST
from curate.pack.verify import Fault, verify_manifest

__all__ = [
    "INPUT",
    "MANIFEST",
    "Fault",
    "Manifest",
    "PackResult",
    "Recipe",
    "find_manifest",
    "pack",
    "read_manifest",
    "verify_manifest",
    "versions",
]
