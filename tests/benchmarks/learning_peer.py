"""cleanlab on given labels and probabilities; runs in an environment of its own, never in ours.

    python learning_peer.py FILE.npz

The file holds `labels` (n,) or (n, k), and `scores` (n, k). Prints the suspects as JSON: for
each way of choosing them, their places, the worst first.
"""

from __future__ import annotations

import json
import sys

import numpy as np

WAYS = ("prune_by_noise_rate", "confident_learning")


def main() -> None:
    from cleanlab.filter import find_label_issues  # type: ignore[import-not-found] # a peer

    given = np.load(sys.argv[1])
    labels, scores = given["labels"], given["scores"]
    found = {}
    for way in WAYS:
        if labels.ndim == 2:
            lists = [np.flatnonzero(row).tolist() for row in labels]
            places = find_label_issues(
                lists,
                scores,
                filter_by=way,
                multi_label=True,
                return_indices_ranked_by="self_confidence",
                n_jobs=1,
            )
        else:
            places = find_label_issues(
                labels,
                scores,
                filter_by=way,
                return_indices_ranked_by="normalized_margin",
                n_jobs=1,
            )
        found[way] = [int(each) for each in places]
    print(json.dumps(found))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
