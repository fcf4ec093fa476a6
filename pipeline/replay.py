"""What a run folder still has to tell MLflow, sent in an order that a crash cannot harm. Heavy: opens MLflow.

The run folder is the truth and MLflow a view of it. The view is built by replaying: MLflow keys a metric by
(run, key, time, step, value) and every record has a time and a step of its own, so sending a line twice
changes nothing, and the position in `sync.json` may lag or be lost. While a run is unfinished only lines up
to its durable checkpoint are sent, since a resume cuts the later ones off. Where the journal was nevertheless
cut behind what was sent (the newest checkpoint was damaged), the view is thrown away and built again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import journal
from pipeline.artifacts import attach
from pipeline.attempts import read_attempts
from pipeline.errors import Top1Error
from pipeline.locks import locked
from pipeline.registry import register
from pipeline.result import Run, read_run
from pipeline.run_card import description, final_metrics, params, tags, target_line, verdict_tags
from pipeline.runs import PLAN, RESULT, TRACKED
from pipeline.tracking import (
    METRICS_PER_CALL,
    Moment,
    Point,
    connect,
    experiment_id,
    find_run,
    moments,
    page_of,
    send,
)
from pipeline.verdict import Standing, standings, targets_of
from recipes.schema import Recipe

if TYPE_CHECKING:  # pipeline.tracking imports MLflow, once its environment is set
    from mlflow import MlflowClient
    from mlflow.entities import Run as TrackedRun

_NOTE = "mlflow.note.content"
_LONGEST_NOTE = 5000  # characters
_TAIL = 4096  # bytes before the position that must be what was sent
_LOCK_PATIENCE = 10.0  # seconds to wait for another `top1 sync` of the same run


@dataclass
class Delivery:
    """What was sent so far. problems: lines of the journal that are no record, each named."""

    run_id: str = ""
    lines: int = 0
    points: int = 0
    problems: tuple[str, ...] = ()


class Replay:
    """One run folder on its way to one server; the connection is opened at the first delivery."""

    def __init__(
        self, folder: Path, uri: str, experiment: str, book: Mapping[str, Recipe], log: Callable[[str], None]
    ) -> None:
        self.folder, self.uri, self.experiment, self.book, self.log = folder, uri, experiment, book, log
        self.delivery = Delivery()
        self._client: MlflowClient | None = None

    def deliver(self) -> None:
        """Send whatever may be sent and has not been; what happens twice changes nothing."""
        with locked(self.folder / ".sync.lock", _LOCK_PATIENCE):
            client = self._client = self._client or connect(self.uri)
            # In this order: every line up to the checkpoint that the status names is in the journal.
            run = read_run(self.folder)
            content = _content(self.folder)
            tracked, position, stored = self._view(client, run, content)
            position = self._send_lines(client, run, content, position, stored)
            if run.result is None:
                _send_state(client, tracked, self._tags(run), run.progress.state)
            else:
                self._finish(client, run, content, position)

    def _view(
        self, client: MlflowClient, run: Run, content: bytes
    ) -> tuple[TrackedRun, _Position, set[Moment]]:
        """Return the run's view, begun where there is none, and the position up to which it is right.

        Where that position is not known it is the start, and what is stored nevertheless is returned too:
        MLflow takes a point twice, but needs two seconds to find that out for a thousand of them.
        """
        stored: set[Moment] = set()
        position = _Position.load(self.folder)
        experiment = experiment_id(client, self.uri, self.experiment)
        tracked = find_run(client, experiment, run.id, known=position.run_id)
        if tracked and not position.fits(tracked.info.run_id, content):
            position = _Position(tracked.info.run_id)
            stored = moments(client, tracked)
            figures = final_metrics(run, self._standings(run))
            if _shows_what_was_cut(stored, content, figures, target_line(targets_of(run, self.book))):
                self.log(f"the journal was cut back behind what was sent; building {run.id} again")
                client.delete_run(tracked.info.run_id)
                tracked, stored = None, set()
        if tracked is None:
            tracked = self._begin(client, experiment, run)
            position = _Position(tracked.info.run_id)
        position = replace(position, url=page_of(self.uri, experiment, tracked.info.run_id))
        missing = {k: v for k, v in self._params().items() if k not in tracked.data.params}
        send(client, tracked.info.run_id, params=missing)
        self.delivery.run_id = tracked.info.run_id
        return tracked, position, stored

    def _begin(self, client: MlflowClient, experiment: str, run: Run) -> TrackedRun:
        note = description(run, self._standings(run))[:_LONGEST_NOTE]
        plan = journal.read_json(self.folder / PLAN)
        return client.create_run(
            experiment,
            start_time=_milliseconds_of(plan.get("created")),
            run_name=f"{run.recipe.name} {run.folder.resolve().name}",
            tags={**self._tags(run), _NOTE: note},
        )

    def _send_lines(
        self, client: MlflowClient, run: Run, content: bytes, position: _Position, stored: set[Moment]
    ) -> _Position:
        """Send the lines that may be sent, at most METRICS_PER_CALL points a call."""
        batch: list[Point] = []
        beside = target_line(targets_of(run, self.book))
        last_step = None if run.result else (run.progress.durable_step or 0)
        end, lines, problems = position.offset, 0, []
        for line in _until(last_step, journal.lines(content, position.offset, self.folder / journal.NAME)):
            points = (
                [p for p in _points(line.record, beside) if _moment(p) not in stored] if line.record else []
            )
            if len(batch) + len(points) > METRICS_PER_CALL:
                position = self._send_batch(client, position, batch, content, end)
                batch = []
            batch += points
            problems += [line.problem] if line.problem else []
            end, lines = line.end, lines + 1
        if end > position.offset:
            position = self._send_batch(client, position, batch, content, end)
            self.log(
                f"sent {lines} line{'s' if lines > 1 else ''}"
                + "".join(f"; skipped {problem}" for problem in problems)
            )
            self.delivery.lines += lines
            self.delivery.problems += tuple(problems)
        return position

    def _send_batch(
        self, client: MlflowClient, position: _Position, batch: list[Point], content: bytes, end: int
    ) -> _Position:
        send(client, position.run_id, batch)
        self.delivery.points += len(batch)
        return position.moved(content, end).save(self.folder)

    def _finish(self, client: MlflowClient, run: Run, content: bytes, position: _Position) -> None:
        """Send what came out: figures, verdict, description, files; once for each content of result.json."""
        result = hashlib.sha256((self.folder / RESULT).read_bytes()).hexdigest()
        if position.result == result:
            return
        found, records = self._standings(run), [line.record for line in journal.lines(content) if line.record]
        damaged = content.count(b"\n") - len(records)
        step, at = (int(records[-1]["step"]), _milliseconds(records[-1])) if records else (0, 0)
        figures = [(key, value, at, step) for key, value in final_metrics(run, found).items()]
        note = {_NOTE: description(run, found)[:_LONGEST_NOTE]}
        faults = {"journal.damaged_lines": str(damaged)} if damaged else {}
        send(
            client,
            position.run_id,
            figures,
            tags={**self._tags(run), **verdict_tags(found), **faults, **note},
        )
        client.set_terminated(position.run_id, "FINISHED", end_time=at or None)
        attach(client, position.run_id, run, records, [standing.target for standing in found])
        if version := register(client, position.run_id, run, found):
            self.log(f"registered as {version.name} version {version.version}")
        replace(position, result=result).save(self.folder)
        self.log("sent the result; everything is delivered")

    def _standings(self, run: Run) -> list[Standing]:
        return standings(run, self.book)

    def _tags(self, run: Run) -> dict[str, str]:
        return tags(run, read_attempts(self.folder))

    def _params(self) -> dict[str, str]:
        return params(journal.read_json(self.folder / PLAN))


@dataclass(frozen=True)
class _Position:
    """How far a journal was sent to which tracked run; tail: a digest of the last bytes that were sent.

    result: a digest of the result.json that was sent. url: of the run's page, for people.
    """

    run_id: str
    offset: int = 0
    tail: str = hashlib.sha256().hexdigest()
    result: str | None = None
    url: str = ""

    @classmethod
    def load(cls, folder: Path) -> _Position:
        """Read `sync.json`; where it is missing or no position, nothing was sent as far as we know."""
        try:
            return cls(**(journal.read_json_or_none(folder / TRACKED) or {"run_id": ""}))
        except (Top1Error, TypeError):
            return cls("")

    def save(self, folder: Path) -> _Position:
        journal.write_json(folder / TRACKED, asdict(self), durable=False)
        return self

    def fits(self, run_id: str, content: bytes) -> bool:
        """Whether what was sent, to this run, is still what the journal begins with."""
        known = self.run_id == run_id and self.offset <= len(content)
        return known and self.tail == _digest_before(content, self.offset)

    def moved(self, content: bytes, offset: int) -> _Position:
        return replace(self, offset=offset, tail=_digest_before(content, offset))


def _digest_before(content: bytes, offset: int) -> str:
    return hashlib.sha256(content[max(0, offset - _TAIL) : offset]).hexdigest()


def _shows_what_was_cut(
    stored: set[Moment], content: bytes, figures: Mapping[str, float], beside: Mapping[str, float]
) -> bool:
    """Whether the view shows what the journal does not have; no point can be taken out of MLflow.

    figures: what a result added to the view. beside: the lines of published figures.
    """
    records = [line.record for line in journal.lines(content) if line.record]
    own = {_moment(point) for record in records for point in _points(record, beside)}
    return any(key not in figures for key, _, _ in stored - own)


def _send_state(client: MlflowClient, tracked: TrackedRun, wanted: Mapping[str, str], state: str) -> None:
    """Send the tags that changed. A failed run that goes on is shown as running again."""
    send(client, tracked.info.run_id, tags={k: v for k, v in wanted.items() if tracked.data.tags.get(k) != v})
    status = "FAILED" if state == "failed" else "RUNNING"
    if tracked.info.status == status:
        return
    if status == "FAILED":
        client.set_terminated(tracked.info.run_id, status)
    else:
        client.update_run(tracked.info.run_id, status)


def _until(last_step: int | None, found: Iterator[journal.Line]) -> Iterator[journal.Line]:
    for line in found:
        if last_step is not None and line.record and line.record["step"] > last_step:
            return
        yield line


def _points(record: journal.Record, beside: Mapping[str, float]) -> list[Point]:
    """Return a record's values as points; beside: the published figure of a series, a series of its own."""
    at, step = _milliseconds(record), int(record["step"])
    values = {key: value for key, value in record.items() if key not in ("step", "time")}
    values |= {f"{key}_target": value for key, value in beside.items() if key in record}
    return [(_name(key), value, at, step) for key, value in values.items()]


def _moment(point: Point) -> Moment:
    key, _, at, step = point
    return key, at, step


def _name(key: str) -> str:
    """Return a name that MLflow takes; one bad name would hold the whole run back for ever."""
    return re.sub(r"[^\w/.: -]", "_", key)


def _milliseconds(record: journal.Record) -> int:
    return round(record["time"] * 1000)


def _milliseconds_of(created: object) -> int | None:
    """Return when a plan was made, or None (now) where it does not say it in ISO 8601."""
    try:
        return round(datetime.fromisoformat(str(created)).timestamp() * 1000)
    except ValueError:
        return None


def _content(folder: Path) -> bytes:
    path = folder / journal.NAME
    return path.read_bytes() if path.exists() else b""
