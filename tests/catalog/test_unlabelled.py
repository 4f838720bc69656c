"""What waits for a person is counted by the proposal that they would be shown."""

from __future__ import annotations

from curate.catalog.candidates import Outcome, record
from curate.catalog.proposals import ModelRow, newest, record_model, record_proposals
from curate.catalog.unlabelled import waiting_scores
from curate.records import Proposal
from tests.catalog.rows import candidate, filled, image, image_id


def test_the_newest_proposal_counts_also_if_an_older_model_made_it() -> None:
    db = filled(candidate(1))
    record(db, [Outcome(1, image(1), http_status=200)], 1.0)
    for name in ("older", "newer"):
        record_model(db, ModelRow(name, f"{name}.onnx", ("beach",), True, {}, 1.0))

    def say(model: str, score: float, at: float) -> None:
        scores = {"beach": score}
        record_proposals(db, [Proposal(image_id(1), model, ("beach",), score, scores, at)])

    say("older", 0.1, 2.0)
    say("newer", 0.2, 3.0)
    assert waiting_scores(db, 0.5) == (1, 0)
    say("older", 0.9, 4.0)
    assert newest(db, [image_id(1)])[image_id(1)].model == "older"
    assert waiting_scores(db, 0.5) == (1, 1)
    db.close()
