"""Which version of the code trains a run: the commit, what its source is, and the libraries it stands on.

Light. A run of several attempts may be trained by several versions: whoever pulls, or upgrades torch, while
jobs wait changes all of them.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline import machine

LIBRARIES = ("torch", "torchvision", "timm", "accelerate", "numpy", "numba", "pillow")
DIRTY = "-dirty"
# Of this package; what is only typed, shown or measured in a bench is not.
_TRAINS = (".", "data", "networks")

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Version:
    """code: a digest of the source that trains and measures, None where it was not noted.

    commit: with `-dirty` where there were changes, None without a checkout.
    """

    commit: str | None = None
    code: str | None = None
    libraries: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def version_from(facts: Any) -> Version | None:
    """Rebuild a version from JSON; None where nothing was noted. Raises TypeError where it is no version."""
    if facts is None:
        return None
    if not isinstance(facts, dict):
        raise TypeError(f"{facts!r} is no version of the code")
    return Version(facts.get("commit"), facts.get("code"), facts.get("libraries"))


def version_now(planned: Version) -> Version:
    """Return the version that runs here. Code that is as planned is of the planned commit, whatever is now
    checked out: a job's node may have no git.
    """
    code = code_digest()
    commit = planned.commit if code == planned.code else marked(*git_state())
    builds = {"dali": ", ".join(machine.dali_builds().values())}
    found = {**machine.versions(LIBRARIES), **builds}
    return Version(commit, code, {name: version for name, version in found.items() if version})


def code_digest() -> str:
    """Return a digest of the modules that decide what is trained and measured, comments and all."""
    digest = hashlib.sha256()
    for path in (path for folder in _TRAINS for path in sorted((_HERE / folder).glob("*.py"))):
        digest.update(f"{path.relative_to(_HERE)}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def changed(before: Version, now: Version) -> list[str]:
    """Return what is not as it was, for people; what either does not say has not changed."""
    found = []
    if before.code and now.code and before.code != now.code:
        found.append(_code_changed(before.commit, now.commit))
    then, installed = before.libraries or {}, now.libraries or {}
    for name in (name for name in then if name in installed and then[name] != installed[name]):
        found.append(f"{name} {then[name]} then, {installed[name]} now")
    return found


def _code_changed(before: str | None, now: str | None) -> str:
    if before == now:
        return f"the code of {short(before)} was changed"
    return f"code of {short(before)} then, of {short(now)} now"


def mixed(versions: Sequence[Version]) -> Iterator[str]:
    """Yield, for people, each thing that a run was trained with several versions of."""
    codes = {version.code: version.commit for version in versions if version.code}
    if len(codes) > 1:
        commits = dict.fromkeys(map(short, codes.values()))
        yield f"trained with {len(codes)} versions of the code ({', '.join(commits)})"
    installed = [version.libraries for version in versions if version.libraries]
    for name in dict.fromkeys(name for libraries in installed for name in libraries):
        found = list(dict.fromkeys(libraries[name] for libraries in installed if name in libraries))
        if len(found) > 1:
            yield f"trained with {len(found)} versions of {name} ({', '.join(found)})"


def without_repeats(versions: Iterable[Version]) -> list[Version]:
    """Return the versions in order, one that goes on only once."""
    found: list[Version] = []
    for version in versions:
        if not found or version != found[-1]:
            found.append(version)
    return found


def short(commit: str | None) -> str:
    """Return a commit as people tell it."""
    return f"{commit[:8]}{DIRTY * commit.endswith(DIRTY)}" if commit else "no commit"


def marked(commit: str | None, dirty: bool) -> str | None:
    """Return a commit as a version has it."""
    return f"{commit}{DIRTY}" if commit and dirty else commit


def git_state() -> tuple[str | None, bool]:
    """Return the commit of this package's checkout and whether it has changes; (None, False) without one."""
    checkout = _HERE.parent
    if not (checkout / ".git").exists():
        return None, False
    commit = _git(checkout, "rev-parse", "HEAD")
    return commit or None, bool(_git(checkout, "status", "--porcelain", "--untracked-files=no"))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
