"""What the writer asks of a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from activity_ingestor.errors import Category, IngestorError


class Refusal(StrEnum):
    """What a failed write says about the lines in it."""

    TRY_AGAIN = "try_again"
    """Nothing: the server could not take them now."""
    TOO_LARGE = "too_large"
    BAD_LINES = "bad_lines"
    """At least one of them will never be taken."""


class RefusedError(IngestorError):
    """A write that did not succeed, with the server's words."""

    def __init__(
        self,
        category: Category,
        text: str,
        *,
        refusal: Refusal = Refusal.TRY_AGAIN,
        status: int = 0,
        retry_after_s: float = 0.0,
    ) -> None:
        """Keep what the server said; `status` is 0 where it said nothing."""
        super().__init__(category, text)
        self.refusal = refusal
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class WriteResult:
    """A batch that the other side says it has stored."""

    raw_bytes: int
    sent_bytes: int
    latency_s: float


class Sink(Protocol):
    """Takes lines, all or none, and says so only when they are stored."""

    async def write(self, lines: Sequence[bytes]) -> WriteResult:
        """Store lines; raises RefusedError."""

    async def probe(self) -> str:
        """Return the other side's version or place; raises an exception that says what is wrong."""

    def canary(self) -> bytes:
        """Return a line that any working database takes."""
