"""The run's log: `metrics.jsonl`, one line of strict JSON a record, and small JSON files. Light.

The log is the truth that MLflow and the leaderboard are views of. It knows nothing of either.

JSON has no NaN and no infinity. A measured value that is not finite is a fact worth keeping (it is what
stopped the run), so a journal line carries it as the text "NaN", "Infinity" or "-Infinity" and `read`
gives the float back. In the small documents (`write_json`) it means "not known" and becomes null.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Top1Error

NAME = "metrics.jsonl"
Record = dict[str, float]

SEAL = "seal_sha256"

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Journal:
    """The writing end, held by the main process alone. Opening it repairs a last line that was torn."""

    def __init__(self, folder: str | Path, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(folder) / NAME
        self._clock = clock
        _mend_last_line(self.path)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def append(self, step: int, epoch: float, **values: float) -> None:
        """Add one record, stamped with the time. One unbuffered write: a killed process tears no line.

        values: named as they are logged, e.g. **{"train/loss": loss}; anything float() takes.
        Raises Top1Error where the disk does not take the line.
        """
        numbers = {name: _written(value) for name, value in values.items()}
        record = {"step": int(step), "epoch": float(epoch), **numbers, "time": self._clock()}
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise Top1Error(_cannot_write(self.path, str(error.strerror))) from error
        if written != len(line):
            raise Top1Error(_cannot_write(self.path, f"only {written} of {len(line)} bytes were taken"))

    def sync(self) -> None:
        """Return when every record is on the disk; a checkpoint may be called durable only after this."""
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Line:
    """One complete line. end: the offset of the byte after it. record: None where `problem` says why."""

    end: int
    record: Record | None
    problem: str = ""


def lines(content: bytes, start: int = 0, path: Path = Path(NAME)) -> Iterator[Line]:
    """Yield the complete lines of a journal's bytes from the offset `start`; a torn last one is not there."""
    number = content.count(b"\n", 0, start)
    while (stop := content.find(b"\n", start) + 1) > 0:
        number += 1
        try:
            yield Line(stop, _decode(content[start:stop]))
        except ValueError as error:
            yield Line(stop, None, f"{path}, line {number}: {error}")
        start = stop


def read(folder: str | Path) -> tuple[list[Record], list[str]]:
    """Return (records, problems): lines that are no record are skipped, each named in `problems`."""
    path = Path(folder) / NAME
    found = list(lines(path.read_bytes(), path=path)) if path.exists() else []
    return [line.record for line in found if line.record is not None], [
        line.problem for line in found if line.problem
    ]


def cut_back(folder: str | Path, step: int) -> int:
    """Drop the records after `step`, the checkpoint's, so that no re-run step appears twice; return how many.

    The file is replaced in one piece. Lines that are no record stay where they are: they name a fault.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return 0
    content = path.read_bytes()
    kept, dropped, start = [], 0, 0
    for line in lines(content):
        if line.record is not None and line.record["step"] > step:
            dropped += 1
        else:
            kept.append(content[start : line.end])
        start = line.end
    if dropped:
        _replace(path, b"".join(kept), durable=True)
    return dropped


def write_json(path: str | Path, document: Any, durable: bool = True) -> None:
    """Write a small JSON document in one piece: a reader sees the old one or the new one.

    durable: survive a power cut too; not worth its price for what is written every few seconds.
    """
    text = json.dumps(_without_not_finite(document), indent=1, allow_nan=False) + "\n"
    _replace(Path(path), text.encode(), durable)


def write_sealed(path: str | Path, document: Mapping[str, Any]) -> None:
    """Write a small JSON document with a checksum of itself, by which `check_seal` finds a changed figure."""
    plain = _without_not_finite(dict(document))
    write_json(path, {**plain, SEAL: _digest(plain)})


def check_seal(path: str | Path, document: Mapping[str, Any]) -> None:
    """Raise Top1Error, naming the file, where a document is not what was sealed. Without a seal it passes."""
    content = {key: value for key, value in document.items() if key != SEAL}
    if SEAL in document and document[SEAL] != _digest(content):
        raise Top1Error(
            f"{path} was changed after it was written: its {SEAL} is another document's. Restore it, or "
            "have the same `top1 train` or `top1 eval` write it anew."
        )


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, allow_nan=False).encode()).hexdigest()


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object. Raises Top1Error, naming the file, where it is missing or damaged."""
    document = read_json_or_none(path)
    if document is None:
        raise Top1Error(f"{path} does not exist; every run folder has one, so this is none, or not whole")
    return document


def read_json_or_none(path: str | Path) -> dict[str, Any] | None:
    """Read a JSON object, or None where there is no such file. Raises Top1Error where it is damaged."""
    try:
        document = json.loads(Path(path).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Top1Error(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Top1Error(_damaged(path, str(error))) from error
    if not isinstance(document, dict):
        raise Top1Error(_damaged(path, f"a {type(document).__name__} where an object belongs"))
    return document


def _decode(line: bytes) -> Record:
    """Return the record of a line. Raises ValueError, saying why, when it is none."""
    try:
        data = json.loads(line)
    except ValueError as error:  # also bytes that are no UTF-8
        raise ValueError(f"not JSON ({str(error)[:80]})") from error
    if not isinstance(data, dict):
        raise ValueError(f"a {type(data).__name__} where an object belongs")
    if not isinstance(data.get("step"), int):
        raise ValueError(f"its step is {data.get('step')!r}, not a whole number")
    record = {name: _read(name, value) for name, value in data.items()}
    missing = [name for name in ("epoch", "time") if not math.isfinite(record.get(name, math.nan))]
    if missing:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    return record


def _read(name: str, value: Any) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ValueError(f"{name} is {value!r}, not a number")


def _written(value: float) -> float | str:
    number = (
        int(value) if isinstance(value, int) else float(value)
    )  # float() takes numpy's and torch's scalars
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def _without_not_finite(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_not_finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_without_not_finite(item) for item in value]
        case float() if not math.isfinite(value):
            return None
    return value


def _mend_last_line(path: Path) -> None:
    """End a last line that lacks its line feed, or cut it off where it is only a part of a record."""
    if not path.exists():
        return
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end == len(content):
        return
    try:
        _decode(content[end:])
    except ValueError:
        os.truncate(path, end)
    else:
        with path.open("ab") as file:
            file.write(b"\n")


def _replace(path: Path, content: bytes, durable: bool) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(path: Path, why: str) -> str:
    return (
        f"{path} does not take another line: {why}. A run without its log proves nothing, so it stops; "
        "free some space, then start it again: it goes on from its last checkpoint."
    )


def _damaged(path: str | Path, why: str) -> str:
    return f"{path} is damaged: {why}. It is written in one piece, so something else changed it; restore it."
