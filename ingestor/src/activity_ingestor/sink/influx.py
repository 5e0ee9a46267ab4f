"""InfluxDB 1.x (`/write`), 2.x and 3.x (`/api/v2/write`), and whatever speaks them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
import zlib

import aiohttp
import orjson

from activity_ingestor.clock import Clock
from activity_ingestor.errors import Category, in_words
from activity_ingestor.sink.base import Refusal, RefusedError, WriteResult

_GZIP = 31  # zlib's window bits for a gzip header
# Answers of 400 that speak about the destination, not about the lines.
_NOT_THE_LINES = (
    "database is required",
    "database not found",
    "retention policy not found",
    "invalid precision",
    "bucket",
    "org",
)
_LONGEST_WORDS = 500


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to write, and as whom."""

    url: str
    """Base address, without a path and without a slash at the end."""
    path: str
    query: Mapping[str, str]
    probe_path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """May hold a token: never logged."""
    timeout_s: float = 10.0
    gzip_level: int = 1


def version_1(
    url: str, database: str, *, retention_policy: str = "", user: str = "", password: str = ""
) -> Destination:
    """Return the destination of an InfluxDB 1.x database."""
    query = {"db": database, "precision": "ns"}
    if retention_policy:
        query["rp"] = retention_policy
    headers = {}
    if user:
        headers["Authorization"] = aiohttp.BasicAuth(user, password).encode()
    return Destination(url.rstrip("/"), "/write", query, "/ping", headers)


def version_2(url: str, *, org: str, bucket: str, token: str = "") -> Destination:
    """Return the destination of an InfluxDB 2.x or 3.x bucket."""
    query = {"org": org, "bucket": bucket, "precision": "ns"}
    headers = {"Authorization": f"Token {token}"} if token else {}
    return Destination(url.rstrip("/"), "/api/v2/write", query, "/health", headers)


def _compress(lines: Sequence[bytes], level: int) -> tuple[int, bytes]:
    raw = b"\n".join(lines)
    packer = zlib.compressobj(level, wbits=_GZIP)
    return len(raw), packer.compress(raw) + packer.flush()


def _words(body: bytes) -> str:
    """Return what the server said, without its wrapping."""
    try:
        said = orjson.loads(body)
    except ValueError:
        said = None
    text = body.decode("utf-8", "replace")
    if isinstance(said, dict):
        text = str(said.get("error") or said.get("message") or text)
    return " ".join(text.split())[:_LONGEST_WORDS]


def _retry_after_s(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After", "0")))
    except ValueError:  # the form with a date
        return 0.0


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no reason given"


def refusal_of(status: int, words: str, retry_after_s: float = 0.0) -> RefusedError:
    """Return what an answer other than 204 means."""
    said = f"{status}: {words or _phrase(status)}"
    category, refusal = Category.NETWORK, Refusal.TRY_AGAIN
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        category = Category.AUTHENTICATION
    elif status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        category, refusal = Category.DATA, Refusal.TOO_LARGE
    elif status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        category, refusal = Category.DATA, Refusal.BAD_LINES
        if any(words.lower().startswith(text) for text in _NOT_THE_LINES):
            category, refusal = Category.CONFIGURATION, Refusal.TRY_AGAIN
    elif status == HTTPStatus.NOT_FOUND:
        category = Category.CONFIGURATION
    elif status < HTTPStatus.BAD_REQUEST:
        # 200 with a page of HTML is a proxy or a login form: nothing has been stored.
        category = Category.PROTOCOL
        said = f"{said} (204 was expected: is this the database's address?)"
    return RefusedError(category, said, refusal=refusal, status=status, retry_after_s=retry_after_s)


class InfluxSink:
    """Writes gzipped line protocol over the shared HTTP session."""

    def __init__(self, session: aiohttp.ClientSession, to: Destination, clock: Clock) -> None:
        """Take the pooled session and the destination."""
        self._session = session
        self._to = to
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=to.timeout_s)

    async def write(self, lines: Sequence[bytes]) -> WriteResult:
        """Store lines; raises RefusedError unless the server says 204."""
        # Packing in a thread lets go of the interpreter: the loop goes on reading meanwhile.
        raw_bytes, body = await asyncio.to_thread(_compress, lines, self._to.gzip_level)
        started = self._clock.monotonic()
        headers = {
            "Content-Encoding": "gzip",
            "Content-Type": "text/plain; charset=utf-8",
            **self._to.headers,
        }
        try:
            async with self._session.post(
                self._to.url + self._to.path,
                params=self._to.query,
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                status, said = response.status, await response.read()
                retry_after_s = _retry_after_s(response.headers)
        except TimeoutError as error:
            text = f"no answer within {self._to.timeout_s:g} s"
            raise RefusedError(Category.NETWORK, text) from error
        except aiohttp.InvalidURL as error:
            raise RefusedError(Category.CONFIGURATION, in_words(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise RefusedError(Category.NETWORK, in_words(error)) from error
        if status != HTTPStatus.NO_CONTENT:
            raise refusal_of(status, _words(said), retry_after_s)
        return WriteResult(raw_bytes, len(body), self._clock.monotonic() - started)

    async def probe(self) -> str:
        """Write one point and return the server's version; raises RefusedError."""
        await self.write([self.canary()])
        try:
            async with self._session.get(
                self._to.url + self._to.probe_path,
                headers=self._to.headers,
                timeout=self._timeout,
            ) as response:
                version = response.headers.get("X-Influxdb-Version", "")
        except (aiohttp.ClientError, OSError) as error:
            raise RefusedError(Category.NETWORK, in_words(error)) from error
        return f"takes line protocol, version {version or 'unknown'}"

    def canary(self) -> bytes:
        """Return a point whose failure speaks about the destination only."""
        return f"ingestor_canary ok=1 {self._clock.wall_us() * 1000}".encode()
