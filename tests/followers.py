"""Followers as processes of their own, beside the test."""

import os
import subprocess
import sys
import time

FOLLOW = """
import sys
sys.path.insert(0, {tests!r})
from pipeline.follow import Pace
from pipeline.sync import sync
sync({folder!r}, {uri!r}, experiment={experiment!r}, follow=True, parent={parent!r},
     pace=Pace(every=0.2, longest=1.0, patience={patience!r}, limit={limit!r}))
"""


def follow_in_background(folder, uri, experiment="top1", parent=None, patience=10, limit=60.0):
    script = FOLLOW.format(
        tests=os.path.dirname(__file__),
        folder=str(folder),
        uri=uri,
        experiment=experiment,
        parent=parent,
        patience=patience,
        limit=limit,
    )
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)


def log_of(folder):
    path = folder / "logs" / "sync.log"
    return path.read_text() if path.exists() else ""


def wait_for(condition, process, seconds=60):
    gives_up = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < gives_up
        time.sleep(0.05)
