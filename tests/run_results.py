"""What tests read out of a run folder."""

import json

from pipeline.journal import read


def weights(folder):
    """Return the digest of a finished run's weights."""
    return json.loads((folder / "result.json").read_text())["weights_sha256"]


def losses(folder):
    """Return the (step, loss) of each log line."""
    return [(r["step"], r["train/loss"]) for r in read(folder)[0] if "train/loss" in r]


def last_step(folder):
    """Return the step of the last line of a run's log."""
    return read(folder)[0][-1]["step"]
