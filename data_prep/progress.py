"""How a preparation tells what it does: nothing, plain lines, or a bar on a terminal. Light."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_SECONDS_PER_LINE = 10.0


@dataclass
class Stage:
    """One piece of work under way. total: bytes."""

    what: str
    total: int
    done: int = 0
    images: int = 0
    reused: int = 0
    images_reused: int = 0
    start: float = field(default_factory=time.monotonic)

    def advance(self, done: int, images: int, reused: bool = False) -> None:
        """Count some finished work. reused: it was there from an earlier run."""
        self.done += done
        self.images += images
        self.reused += done * reused
        self.images_reused += images * reused

    @property
    def bytes_per_second(self) -> float:
        return (self.done - self.reused) / max(time.monotonic() - self.start, 1e-9)

    @property
    def images_per_second(self) -> float:
        return (self.images - self.images_reused) / max(time.monotonic() - self.start, 1e-9)

    def line(self) -> str:
        share = 100 * self.done / self.total if self.total else 100.0
        unit, scale = ("GB", 1e9) if self.total >= 1e9 else ("MB", 1e6)
        text = f"{self.what:8} {share:3.0f}%  {self.done / scale:.1f} of {self.total / scale:.1f} {unit}"
        text += f"  {self.images:,} images  {self.images_per_second:,.0f}/s"
        rate = self.bytes_per_second
        return text + (f"  {_duration((self.total - self.done) / rate)} left" if rate and share < 100 else "")


class Quiet:
    """Tells nothing; what functions use unless they are given another."""

    def say(self, text: str) -> None:
        """Tell one line."""

    @contextmanager
    def stage(self, what: str, total: int) -> Iterator[Stage]:
        """Give the stage that is to be advanced while a piece of work is done. total: bytes."""
        yield Stage(what, total)


class Lines(Quiet):
    """Plain lines, one at the beginning, one every ten seconds, one at the end: for log files."""

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def stage(self, what: str, total: int) -> Iterator[Stage]:
        stage = _Told(what, total, say=self.say)
        yield stage
        stage.done = total  # an archive is a little more than its images
        self.say(stage.line())


@dataclass(kw_only=True)
class _Told(Stage):
    """A stage that tells a line now and then."""

    say: Callable[[str], None]
    last: float = field(default_factory=time.monotonic)

    def advance(self, done: int, images: int, reused: bool = False) -> None:
        super().advance(done, images, reused)
        if time.monotonic() - self.last >= _SECONDS_PER_LINE:
            self.last = time.monotonic()
            self.say(self.line())


class Bars(Lines):
    """A bar for each stage, on a terminal."""

    @contextmanager
    def stage(self, what: str, total: int) -> Iterator[Stage]:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:8}"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[images]:,} images  {task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress:
            stage = _Drawn(what, total, progress=progress)
            stage.bar = progress.add_task(what, total=total or 1, images=0, rate=0.0)
            yield stage
            progress.update(stage.bar, completed=total or 1)


@dataclass
class _Drawn(Stage):
    """A stage that is drawn."""

    progress: object = None
    bar: object = None

    def advance(self, done: int, images: int, reused: bool = False) -> None:
        super().advance(done, images, reused)
        rate = self.images_per_second
        self.progress.update(self.bar, completed=self.done, images=self.images, rate=rate)  # type: ignore[attr-defined]


def on_this_terminal() -> Quiet:
    """Return bars where stderr is a terminal, else lines."""
    return Bars() if sys.stderr.isatty() else Lines()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
