"""What we have: one SLURM cluster, described in a small TOML file. Light.

Looked for at --cluster, then ./cluster.toml, then ~/.config/top1/cluster.toml. Every key has a default
except the GPUs of a node.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.errors import Top1Error, UsageError, nearest

PLACES = (Path("cluster.toml"), Path("~/.config/top1/cluster.toml"))


@dataclass(frozen=True)
class Cluster:
    """One cluster as its users see it. Empty text and 0 leave a thing to SLURM's own default.

    gpus_per_node: 0 is a cluster without; --gpus then counts processes.
    cpus_per_node: each GPU's process has its share of them, all together with `exclusive`.
    signal_seconds: SLURM may send the signal up to a minute earlier.
    requeue: false where jobs may not go back to the queue; a run's next job is then another one.
    sbatch: further options of sbatch, e.g. {"mail-type": "FAIL"}.
    """

    gpus_per_node: int
    cpus_per_node: int = 0
    partition: str = ""
    account: str = ""
    qos: str = ""
    memory: str = ""
    time: str = "24:00:00"
    signal_seconds: int = 120
    constraint: str = ""
    exclusive: bool = False
    requeue: bool = True
    setup: tuple[str, ...] = ()
    python: str = ""
    interface: str = ""
    startup_seconds: int = 300
    step_seconds: int = 600
    data: str = ""
    runs: str = ""
    tracking: str = ""
    sbatch: tuple[tuple[str, str], ...] = ()

    @property
    def minutes(self) -> float:
        """The time limit."""
        return _minutes(self.time) or 0.0


def find_cluster(asked: Path | None) -> tuple[Path, Cluster]:
    """Return the description that is meant and where it is. Raises UsageError or Top1Error."""
    places = [asked] if asked else [place.expanduser() for place in PLACES]
    for place in places:
        if place.is_file():
            return place, read_cluster(place)
    if asked:
        raise UsageError(f"there is no file {asked}; --cluster takes a TOML file that describes a cluster.")
    raise UsageError(
        f"no cluster is described: there is no {' and no '.join(map(str, PLACES))}. Write one "
        "(`gpus_per_node = 8` is enough to begin with; `top1 submit --help` lists the keys), give --cluster "
        "FILE, or run here with --local."
    )


def read_cluster(path: Path) -> Cluster:
    """Read and check a description. Raises Top1Error, naming the file, the key and what it should be."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Top1Error(f"{path} is not TOML: {error}. Every line is `key = value`.") from error
    return cluster_from_dict(values, str(path))


def cluster_from_dict(values: dict[str, Any], where: str) -> Cluster:
    """Build a cluster from plain data; `where` is named in a refusal."""
    known = {field.name: field for field in fields(Cluster)}
    for key in values:
        if key not in known:
            raise Top1Error(f"{where} has a key {key!r} that no cluster has{nearest(key, known)}")
    if "gpus_per_node" not in values:
        raise Top1Error(f"{where} does not say gpus_per_node; how many GPUs has a node?")
    checked = {key: _checked(value, str(known[key].type), f"{where}: {key}") for key, value in values.items()}
    cluster = Cluster(**checked)
    if _minutes(cluster.time) is None:
        raise Top1Error(
            f'{where}: time is {cluster.time!r}; write it as SLURM does, "24:00:00" or "2-00:00:00".'
        )
    if cluster.minutes * 60 <= cluster.signal_seconds:
        raise Top1Error(
            f"{where}: a job of time {cluster.time!r} would be told to stop {cluster.signal_seconds} s "
            "before its end, when it has not begun. Lower signal_seconds or raise time."
        )
    return cluster


def _checked(value: Any, kind: str, what: str) -> Any:
    """Return the value as a field of that type holds it. Raises Top1Error when it is of another type."""
    match kind, value:
        case ("int", int()) if not isinstance(value, bool) and value >= 0:
            return value
        case ("bool", bool()):
            return value
        case ("str", str()) if value.isprintable():  # a second line would be one of the batch script
            return value
        case ("tuple[str, ...]", list()) if all(isinstance(line, str) for line in value):
            return tuple(value)
        case ("tuple[tuple[str, str], ...]", dict()):
            return _checked([*map(list, value.items())], kind, what)
        case ("tuple[tuple[str, str], ...]", list()) if all(map(_is_option, value)):  # as JSON gives it back
            # An option without a value is true here and empty for sbatch.
            given = [(name, "" if setting is True else str(setting)) for name, setting in value]
            return tuple(pair for pair in given if pair[1] != "False")
    raise Top1Error(f"{what} is {value!r}; it must be {_WANTED[kind]}.")


_WANTED = {
    "int": "a whole number",
    "str": "a text in quotes, on one line",
    "bool": "true or false",
    "tuple[str, ...]": "a list of texts",
    "tuple[tuple[str, str], ...]": 'a table of sbatch\'s options, e.g. { mail-type = "FAIL" }',
}


def _is_option(pair: Any) -> bool:
    """Whether it is [name, value], each as sbatch takes it on one line."""
    if not (isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[1], str | int | float)):
        return False
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", str(pair[0]))) and str(pair[1]).isprintable()


def _minutes(text: str) -> float | None:
    """Return the minutes of SLURM's forms M, M:S, H:M:S, D-H, D-H:M and D-H:M:S, or None."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if not match:
        return None
    days, *parts = match.groups()
    numbers = [int(part) for part in parts if part is not None]
    if days is not None:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, (minutes, seconds) = 0, [*numbers, 0][:2]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60
