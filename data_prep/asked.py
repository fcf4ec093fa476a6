"""What a folder was asked to hold, so that another wish is not answered with what is there already.

The state folder keeps the options that decide which images a set has and how they lie.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from data_prep.work import ASKED
from pipeline.data.header import HEADER_NAME, Header, read_header
from pipeline.data.manifest import write_whole
from pipeline.errors import Top1Error

Asked = Mapping[str, str | int | None]  # by the option's name; True for a flag, None for what is not given


def finished(out: Path, state: Path, name: str, asked: Asked) -> Header | None:
    """Return the header of the set if it is finished, None where there is still work to do.

    Raises Top1Error where the folder holds another set, or this one asked for otherwise; so it does where a
    killed run has put images in their places, for those of two sets must not be mixed.
    """
    header = read_header(out) if (out / HEADER_NAME).exists() else None
    if header and header.name != name:
        raise Top1Error(f"{out} holds the data set {header.name!r}, not {name!r}; give another folder")
    record = state / ASKED
    if record.exists() and any(out.glob("[!.]*")):
        _refuse_other(out, header, json.loads(record.read_bytes()), asked)
    elif header:
        raise Top1Error(
            f"{out} holds {name!r}, but does not say what it was made with ({record} is missing) where "
            f"{_told(asked, asked)} is asked for; use it as it is, or give another folder"
        )
    else:
        text = json.dumps(asked).encode()
        write_whole(record, lambda file: file.write(text))
    return header


def source_of(folder: Path, header: Header) -> str:
    """Return what tells a prepared source from another. Equal images in other splits are another folder."""
    return f"{folder} (fingerprint {header.fingerprint[:16]})"


def _refuse_other(out: Path, header: Header | None, made: Asked, asked: Asked) -> None:
    differing = [name for name in {**made, **asked} if made.get(name) != asked.get(name)]
    if differing:
        holds = repr(header.name) if header else "an unfinished set"
        raise Top1Error(
            f"{out} holds {holds} made with {_told(made, differing)}, and {_told(asked, differing)} is asked "
            f"for; give another folder, or ask for what is there (to make it anew, remove {out})"
        )


def _told(asked: Asked, names: Iterable[str]) -> str:
    values = {name: asked.get(name) for name in names}
    return ", ".join(
        f"no {name}" if value is None else name if value is True else f"{name} {value}"
        for name, value in values.items()
    )
