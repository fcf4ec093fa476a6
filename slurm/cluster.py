"""What we have: one SLURM cluster, described in a small TOML file. Light.

Looked for at --cluster, then ./cluster.toml, then ~/.config/top1/cluster.toml. Every key has a default
except the GPUs of a node.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pipeline.errors import Top1Error, UsageError, nearest

PLACES = (Path("cluster.toml"), Path("~/.config/top1/cluster.toml"))
# What a plan has settled, and who is to be told instead.
SHAPE = dict.fromkeys(("nodes", "ntasks", "ntasks-per-node"), "--nodes and --gpus say it")
SETTLED = {
    "sbatch": SHAPE | {"array": "--parallel says how many run at a time", "dependency": "--after says it"},
    "srun": SHAPE | dict.fromkeys(("output", "error"), "`top1 logs` finds them where they are"),
}

Options = tuple[tuple[str, str | None], ...]  # "" is an option without a value, None one to leave out


@dataclass(frozen=True)
class Cluster:
    """One cluster as its users see it. Empty text and 0 leave a thing to SLURM's own default.

    gpus_per_node: 0 is a cluster without; --gpus then counts processes.
    cpus_per_node: each GPU's process has its share of them, all together with `exclusive`.
    signal_seconds: SLURM may send the signal up to a minute earlier.
    copy_to: on each node's own disk; variables are the node's.
    requeue: false where jobs may not go back to the queue; a run's next job is then another one.
    sbatch, srun: further options of these, e.g. {"mail-type": "FAIL"}; one that is asked for anyway is
    replaced, or left out where it is false.
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
    copy_to: str = ""
    sbatch: Options = ()
    srun: Options = ()

    @property
    def limit(self) -> str | None:
        """The time limit as it is asked for; None where it is left to SLURM."""
        return dict(self.sbatch).get("time", self.time)

    @property
    def minutes(self) -> float | None:
        """The time limit, where it is asked for."""
        return _minutes(self.limit) if self.limit is not None else None


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
    return _possible(Cluster(**checked), where)


def with_options(cluster: Cluster, given: list[str], where: str) -> Cluster:
    """Return a cluster with further options of sbatch, each KEY=VALUE or KEY alone, before those it has.

    Raises UsageError or Top1Error where they make no sense. where: of the description, for a refusal.
    """
    options = dict(cluster.sbatch)
    for text in given:
        name, _, value = text.partition("=")
        if not _is_option([name, value]):
            raise UsageError(f"--sbatch {text!r} is no option of sbatch; write KEY=VALUE, e.g. time=30.")
        options[name] = _setting({"true": True, "false": False}.get(value, value))  # as in the file
    said = f"{where} with --sbatch {' '.join(given)}"
    return _possible(replace(cluster, sbatch=tuple(options.items())), said) if given else cluster


def _possible(cluster: Cluster, where: str) -> Cluster:
    """Return the cluster. Raises Top1Error where its jobs would not be as planned, or could not begin."""
    for table in ("sbatch", "srun"):
        for name, _ in getattr(cluster, table):
            if name in SETTLED[table]:
                raise Top1Error(f"{where}: {table} is given {name!r}; {SETTLED[table][name]}. Leave it out.")
    if cluster.limit is not None and cluster.minutes is None:
        raise Top1Error(
            f'{where}: time is {cluster.limit!r}; write it as SLURM does, "24:00:00" or "2-00:00:00".'
        )
    if cluster.minutes is not None and cluster.minutes * 60 <= cluster.signal_seconds:
        raise Top1Error(
            f"{where}: a job of time {cluster.limit!r} would be told to stop {cluster.signal_seconds} s "
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
        case ("Options", dict()):
            return _checked([*map(list, value.items())], kind, what)
        case ("Options", list()) if all(map(_is_option, value)):  # as JSON gives it back
            return tuple((name, _setting(setting)) for name, setting in value)
    raise Top1Error(f"{what} is {value!r}; it must be {_WANTED[kind]}.")


def _setting(value: bool | str | float | None) -> str | None:
    """Return an option's value in TOML, or in JSON after that, as it is kept."""
    if isinstance(value, bool):
        return "" if value else None
    return None if value is None else str(value)


_WANTED = {
    "int": "a whole number",
    "str": "a text in quotes, on one line",
    "bool": "true or false",
    "tuple[str, ...]": "a list of texts",
    "Options": 'a table of options, their names without dashes in front, e.g. { mail-type = "FAIL" }',
}


def _is_option(pair: Any) -> bool:
    """Whether it is [name, value], each as SLURM takes it on one line."""
    if not (isinstance(pair, list | tuple) and len(pair) == 2):
        return False
    if not isinstance(pair[1], str | int | float | None):
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
