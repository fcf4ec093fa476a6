"""The mistakes that people make, told in one sentence. Light: standard library only."""

import difflib
from collections.abc import Iterable


class Top1Error(Exception):
    """A person's mistake, or a state of the world, that one sentence explains; printed without a traceback.

    The sentence has three parts: what was wrong (with the value), what was expected, what to do.
    """


class CrashError(Top1Error):
    """What may be over when the processes start again, as a job lets them, from the checkpoint."""


class PassingError(CrashError):
    """A state of the world that may be over soon: a job waits before it starts its processes again."""


class UsageError(Top1Error):
    """A command that was misused; exit code 2 where Top1Error exits with 1."""


def in_short(error: BaseException) -> str:
    """Return what an error says in one line: a sentence of ours as it is, another's after its type."""
    return str(error) if isinstance(error, Top1Error) else f"{type(error).__name__}: {error}"


# torch's, of a GPU and of the CPU, cuBLAS's and cuDNN's, DALI's. Of each a RuntimeError.
_OUT_OF_MEMORY = ("out of memory", "alloc_failed", "can't allocate ", "cuda allocation failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no more memory, whichever library it is of."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in said for words in _OUT_OF_MEMORY)
    )


def nearest(word: str, words: Iterable[str]) -> str:
    """Return `; did you mean X or Y?` for the names closest to `word`, or a full stop."""
    close = difflib.get_close_matches(word, list(words), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else "."


# What running somebody's file of Python may raise, where the mistake is theirs.
RAISED_BY_CODE = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError),
    *(RuntimeError, SyntaxError, SystemExit, TypeError, ValueError),
)
