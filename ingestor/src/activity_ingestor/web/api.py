"""`/health`, `/ready`, `/health/dependencies`, `/metrics`."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic.dataclasses import dataclass

from activity_ingestor import __version__
from activity_ingestor.health import Dependency


@dataclass(frozen=True)
class Alive:
    """Answer of `/health`."""

    alive: bool
    version: str
    uptime_s: float
    loop_lag_s: float


@dataclass(frozen=True)
class Ready:
    """Answer of `/ready`."""

    ready: bool
    dependencies: list[Dependency]


def make_api(
    alive: Callable[[], Alive],
    dependencies: Callable[[], list[Dependency]],
    registry: CollectorRegistry,
) -> FastAPI:
    """Return the application; its functions are called in the event loop and must not block."""
    api = FastAPI(title="Activity ingestor", version=__version__, redoc_url=None)

    @api.get("/health")
    async def health(response: Response) -> Alive:
        """Alive: the event loop answers and the watchdog ticks. 503 where it does not."""
        answer = alive()
        if not answer.alive:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return answer

    @api.get("/ready")
    async def ready(response: Response) -> Ready:
        """May be relied on: every required dependency works. 503 where one does not."""
        found = dependencies()
        is_ready = all(d.ok for d in found if d.required)
        if not is_ready:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return Ready(is_ready, found)

    @api.get("/health/dependencies")
    async def health_dependencies() -> list[Dependency]:
        """Every enabled dependency with state, latency and last error."""
        return dependencies()

    @api.get("/metrics")
    async def metrics() -> Response:
        """Prometheus text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return api
