"""`curate` as a user who may not read or write everything, also where tests run as root."""

from __future__ import annotations

import subprocess
import sys

from tests.fetch.command import TIMEOUT_S, Said, command, environment

# Root is a user like others once it has lost the two capabilities that pass over permissions;
# those dropped from the bounding set are gone with the next exec.
DROP = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
if os.geteuid() == 0:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            sys.exit(f"cannot drop a capability: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
"""


def curate_unprivileged(*arguments: object) -> Said:
    """Run `curate` to its end, heeding permissions."""
    done = subprocess.run(
        [sys.executable, "-c", DROP, *command(*arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
