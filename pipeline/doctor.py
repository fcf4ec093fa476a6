"""`top1 doctor`: what is installed, whether it fits together, what the machine has and how fast it loads.

Light until it looks: each part opens what it needs, and says so in a sentence where that is missing.
"""

from __future__ import annotations

import importlib
import io
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline import machine
from pipeline.errors import Top1Error

_BUILDS = (12, 13)  # CUDA majors that DALI comes for, and our extras
_PROBE_SECONDS = 5.0
_UNUSABLE = (ImportError, OSError)  # missing, or without a shared library that it needs
# How DALI may decode a JPEG: nvImageCodec's names, and ours.
_DECODERS = {
    "CPU_ONLY": "cpu",
    "HYBRID_CPU_GPU": "cuda + cpu",
    "GPU_ONLY": "cuda",
    "HW_GPU_ONLY": "hardware",
}


def examine(data: Path | None, runs: Path, threads: int | None = None) -> dict[str, Any]:
    """Return the answer of `doctor --json`; `problems` is empty where a run could start."""
    installed = machine.versions(machine.LIBRARIES)
    builds = machine.dali_builds()
    torch = _opened("torch") if installed["torch"] else None
    cuda = _major(torch.version.cuda) if torch else None
    gpus = _gpus(torch) if torch else []
    problems = library_problems(installed, opens={"torch": torch is not None})
    problems += dali_problems(cuda, sorted(builds), installed["torch"])
    found: dict[str, Any] = {
        "versions": {"python": platform.python_version(), **installed, "dali": _listed(builds.values())},
        "cuda": {"torch": cuda, "dali": sorted(builds)},
        "gpus": gpus,
        "jpeg": {"pillow": _pillow_codec(), "dali": _dali_decoders(len(gpus))},
        "cpus": {
            "model": machine.cpu_model(),
            "allotted": machine.cpus_allotted(),
            "machine": os.cpu_count(),
        },
        "disk": _disk(runs),
        "probe": None,
    }
    if torch and builds:
        found["probe"], trouble = _probe(data, threads or machine.cpus_allotted())
        problems += trouble
    return {**found, "problems": problems}


def library_problems(installed: Mapping[str, str | None], opens: Mapping[str, bool]) -> list[str]:
    """Return a sentence for every library that is missing, or that is there and does not open."""
    missing = [name for name, version in installed.items() if version is None]
    broken = [name for name, well in opens.items() if not well and name not in missing]
    sentences = []
    if missing:
        sentences.append(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed; "
            "`make install` installs all that is needed"
        )
    return sentences + [
        f"{name} {installed[name]} is installed and cannot be opened; `python -c 'import {name}'` says why"
        for name in broken
    ]


def dali_problems(cuda: int | None, builds: Sequence[int], torch: str | None) -> list[str]:
    """Say what is wrong between torch, built for a CUDA major, and the builds of DALI that are installed."""
    wanted = cuda if cuda in _BUILDS else _BUILDS[-1]
    install = f"python -m pip install -e '.[cu{wanted}]'"
    if cuda is not None and cuda not in _BUILDS:
        return [
            f"torch {torch} is built for CUDA {cuda} and DALI comes for CUDA {_either()}; use such a torch"
        ]
    if not builds:
        return [f"DALI is not installed{_because(cuda, torch)}; run {install}"]
    remove = f"python -m pip uninstall -y {' '.join(f'nvidia-dali-cuda{build}0' for build in builds)}"
    if len(builds) > 1:
        return [
            f"DALI is installed for CUDA {' and '.join(map(str, builds))} at once, and both write to one "
            f"folder; run {remove} && {install}"
        ]
    if cuda is not None and builds != [cuda]:
        return [
            f"torch {torch} is built for CUDA {cuda} and DALI for CUDA {builds[0]}, and no process can use "
            f"both on a GPU; run {remove} && {install}"
        ]
    return []


def doctor_text(found: Mapping[str, Any]) -> str:
    """Return the answer of `doctor --json` for people."""
    versions = "  ".join(f"{name} {version or 'missing'}" for name, version in found["versions"].items())
    cuda, jpeg, cpus, disk = (found[name] for name in ("cuda", "jpeg", "cpus", "disk"))
    lines = {
        "versions": versions,
        "CUDA": f"torch for {cuda['torch'] or 'none'}, DALI for {_listed(cuda['dali']) or 'none'}",
        "GPUs": _listed(found["gpus"]) or "none seen",
        "JPEG": f"Pillow by {jpeg['pillow'] or 'nothing'}, DALI by {_listed(jpeg['dali']) or 'nothing'}",
        "CPUs": f"{cpus['allotted']} allotted of {cpus['machine']}, {cpus['model']}",
        "disk": f"{disk['free_gigabytes']:.1f} GB free for runs in {disk['folder']}",
        "loader": _probe_text(found["probe"]),
    }
    text = [f"{name:9} {value}" for name, value in lines.items()]
    return "\n".join([*text, *(f"problem   {problem}" for problem in found["problems"] or ["none"])])


def _probe_text(probe: Mapping[str, Any] | None) -> str:
    if probe is None:
        return "not tried"
    return (
        f"{probe['images_per_second']:.0f} images/s, {probe['images_per_cpu_second']:.0f} a CPU-second, "
        f"at {probe['image_size']} pixels with {probe['threads']} threads, data {probe['data']}"
    )


def _either() -> str:
    return " and ".join(map(str, _BUILDS))


def _because(cuda: int | None, torch: str | None) -> str:
    return f", and torch {torch} is built for CUDA {cuda}" if cuda else ""


def _listed(values: Any) -> str:
    return ", ".join(map(str, values))


def _opened(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except _UNUSABLE:
        return None


def _major(version: str | None) -> int | None:
    return int(version.partition(".")[0]) if version else None


def _gpus(torch: Any) -> list[str]:
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def _pillow_codec() -> str | None:
    features = _opened("PIL.features")
    if features is None or not features.check("jpg"):
        return None
    turbo = features.version("libjpeg_turbo")
    return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"


def _dali_decoders(gpus: int) -> list[str]:
    """Return how DALI can decode a JPEG here, by decoding one; on the first GPU where there is any."""
    codec, pillow = _opened("nvidia.nvimgcodec"), _opened("PIL.Image")
    if codec is None or pillow is None:
        return []
    encoded = io.BytesIO()
    pillow.new("RGB", (64, 64)).save(encoded, "JPEG")
    kinds = list(_DECODERS) if gpus else ["CPU_ONLY"]
    return [_DECODERS[kind] for kind in kinds if _decodes(codec, kind, encoded.getvalue(), gpus)]


def _decodes(codec: Any, kind: str, content: bytes, gpus: int) -> bool:
    backend = codec.Backend(getattr(codec.BackendKind, kind))
    try:
        decoder = codec.Decoder(device_id=0 if gpus else codec.NVIMGCODEC_DEVICE_CPU_ONLY, backends=[backend])
        return decoder.decode(content) is not None
    except RuntimeError:  # such a decoder cannot be made here
        return False


def _disk(runs: Path) -> dict[str, Any]:
    folder = runs.resolve()
    while not folder.exists():
        folder = folder.parent
    return {"folder": str(folder), "free_gigabytes": shutil.disk_usage(folder).free / 1e9}


def _probe(data: Path | None, threads: int) -> tuple[dict[str, Any] | None, list[str]]:
    """Return what the loader did in some seconds, and what kept it from it."""
    try:
        from pipeline.bench.probe import probe

        return probe(data, threads, _PROBE_SECONDS), []
    except (*_UNUSABLE, Top1Error, RuntimeError) as error:  # RuntimeError: DALI's only kind
        return None, [f"the loader does not run: {error}"]
