"""How a run introduces itself to a tracking server: parameters, tags, final figures, a description. Light.

Pure functions of what the run folder says; `sync.py` delivers what they return.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.attempts import Attempt
from pipeline.result import Run
from pipeline.verdict import Standing, verdict
from recipes.schema import Recipe, Target

ID_TAG = "top1.plan"  # by which a run is found again; the plan's id
LONGEST_VALUE = 500  # characters; what every MLflow server of the last years takes


def params(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return a plan, recipe included, as flat parameters: {"recipe.optimizer.lr": "0.1", ...}.

    The tracking address stays out: it may hold a password.
    """
    found = {key: _cut(text) for key, text in _flat(plan) if key != "tracking"}
    return found | ({"world_size": found["gpus"]} if "gpus" in found else {})


def tags(run: Run, attempts: Sequence[Attempt]) -> dict[str, str]:
    """Return what runs are searched and grouped by."""
    found = {
        ID_TAG: run.id,
        "recipe": run.recipe.name,
        "family": run.recipe.family,
        "seed": str(run.seed),
        "commit": run.commit,
        "data": run.data.name,
        "data.fingerprint": run.data.fingerprint,
        "attempts": str(len(attempts)),
        "hosts": _each(attempt.host for attempt in attempts),
        "hardware": _each(attempt.hardware for attempt in attempts),
        "slurm.jobs": _each(attempt.job for attempt in attempts),
        "weights.sha256": run.result.weights_sha256 if run.result else "",
        "state": run.progress.state,
        "mlflow.source.git.commit": run.commits[-1].removesuffix("-dirty") if run.commits else "",
    }
    return {key: _cut(value) for key, value in found.items() if value}


def _each(values: Iterable[str | None]) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value))


def target_line(targets: Sequence[Target]) -> dict[str, float]:
    """Return published figures by the validation series that they are a line beside: {"val/top1": 76.4}."""
    found: dict[str, float] = {}
    for target in targets:
        found.setdefault(f"val/{target.metric}", target.value)
    return found


def verdict_tags(standings: Sequence[Standing]) -> dict[str, str]:
    """Return the verdict on the recipe's first target, or why there is none."""
    if not standings:
        return {"verdict": "none", "reason": "the recipe states no target"}
    first = standings[0]
    found = {
        "verdict": verdict_of(first),
        "reason": "; ".join(first.reasons),
        "protocol": first.measured.protocol if first.measured else "",
        "target.source": _citation(first.target),
        "gap": "" if first.gap is None else f"{first.gap:+.2f}",
    }
    return {key: _cut(value) for key, value in found.items() if value}


def verdict_of(standing: Standing) -> str:
    if standing.comparable and standing.reached is not None:
        return verdict(standing.target, standing.reached)
    return "not comparable"


def final_metrics(run: Run, standings: Sequence[Standing]) -> dict[str, float]:
    """Return the figures of a finished run; those of the second target begin with `target2/`, and so on."""
    if run.result is None:
        return {}
    found: dict[str, float | None] = {
        "gpu_hours": run.result.gpu_hours,
        "epochs": run.result.epochs,
        "last/top1": run.result.last_top1,
        "best/top1": run.result.best_top1,
    }
    if standings:  # under names that are the same whatever the metric: the columns of `top1 ui`
        first = standings[0]
        found |= {"target": first.target.value, "reached": first.reached, "gap": first.gap}
    for number, standing in enumerate(standings, start=1):
        found |= _target_metrics(standing, "" if number == 1 else f"target{number}/")
    # The MLflow UI does not round.
    return {key: round(value, 4) for key, value in found.items() if value is not None}


def description(run: Run, standings: Sequence[Standing]) -> str:
    """Return the run's page in Markdown: what it reached, beside what, and how to do it again."""
    parts = [f"### {run.recipe.name}, seed {run.seed}"]
    if run.recipe.modified:
        parts.append("Modified recipe:\n" + "\n".join(f"- {change}" for change in run.recipe.modified))
    parts += [_sentence(standing) for standing in standings]
    sources = "\n".join(f"- `{s.key}` {s.title}. {s.where}" for s in run.recipe.sources)
    parts.append(f"Sources:\n{sources}")
    if run.recipe.departures:
        parts.append("Departures:\n" + "\n".join(f"- {departure}" for departure in run.recipe.departures))
    proven = f"official ({run.data.official})" if run.data.official else "not proven official"
    parts.append(f"Data: {run.data.name}, {proven}, fingerprint `{run.data.fingerprint}`")
    parts.append(f"Commit: `{run.commit or 'unknown'}`")
    if run.command:
        parts.append(f"```\n{run.command}\n```")
    return "\n\n".join(parts) + "\n"


def preprocessing(recipe: Recipe) -> str:
    """Return in one sentence what the network was given when it was measured."""
    evaluation = recipe.targets[0].evaluation if recipe.targets else recipe.validation
    normalize = recipe.data.normalize
    return (
        f"`{evaluation.protocol}` on {recipe.data.color} images, then (pixel - mean) / deviation on 0..255, "
        f"mean {_numbers(normalize.mean)}, deviation {_numbers(normalize.std)}."
    )


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _sentence(standing: Standing) -> str:
    """Say in one line what is claimed, what was reached, and whether the two may be compared."""
    target, measured, reached = standing.target, standing.measured, standing.reached
    deviation = f" ± {target.std}" if target.std is not None else ""
    claim = (
        f"{target.metric} **{target.value}**{deviation} ({_citation(target)}, {target.evaluation.protocol})"
    )
    if measured is None or reached is None:
        return f"Target: {claim}. {'; '.join(standing.reasons)}."
    found = f"reached **{reached:.2f}** on {measured.images:,} images ({measured.protocol})"
    if not standing.comparable:
        return f"Target: {claim}; {found}. Not comparable: {'; '.join(standing.reasons)}."
    return f"Target: {claim}; {found}, {reached - target.value:+.2f}: **{verdict_of(standing)}**."


def _target_metrics(standing: Standing, prefix: str) -> dict[str, float | None]:
    measured, metric = standing.measured, standing.target.metric
    return {
        f"{prefix}top1": measured.top1 if measured else None,
        f"{prefix}top5": measured.top5 if measured else None,
        f"{prefix}images": float(measured.images) if measured else None,
        f"{prefix}{metric}/target": standing.target.value,
        f"{prefix}{metric}/gap": standing.gap,
    }


def _citation(target: Target) -> str:
    return f"{target.source.key} {target.where}"


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of JSON data by their dotted paths; a list of plain values is one leaf."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}.{index}")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
