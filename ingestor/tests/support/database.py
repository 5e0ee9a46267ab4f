"""A stand-in for a database: stores lines, or refuses them in every way the real ones know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from activity_ingestor.errors import Category
from activity_ingestor.sink import Refusal, RefusedError, WriteResult

Judge: TypeAlias = Callable[[Sequence[bytes]], RefusedError | None]


@dataclass
class FakeDatabase:
    """A sink in memory. `script` is used up first, one refusal a write; None lets it pass."""

    script: list[Exception | None] = field(default_factory=list)
    judge: Judge = lambda _lines: None
    lines: list[bytes] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    attempts: int = 0
    latency_s: float = 0.01

    async def write(self, lines: Sequence[bytes]) -> WriteResult:
        self.attempts += 1
        if self.script:
            refusal = self.script.pop(0)
            if refusal is not None:
                raise refusal
        refused = self.judge(lines)
        if refused is not None:
            raise refused
        self.lines += lines
        self.batches.append(len(lines))
        return WriteResult(sum(map(len, lines)), 1, self.latency_s)

    async def probe(self) -> str:
        return "a fake"

    def canary(self) -> bytes:
        return b"ingestor_canary ok=1"


def refusal(status: int, text: str = "no") -> RefusedError:
    """Return what the InfluxDB sink makes of a status."""
    from activity_ingestor.sink.influx import refusal_of  # noqa: PLC0415

    return refusal_of(status, text)


def timed_out() -> RefusedError:
    return RefusedError(Category.NETWORK, "no answer within 10 s")


def bad_line(text: str) -> RefusedError:
    return RefusedError(Category.DATA, text, refusal=Refusal.BAD_LINES, status=400)
