"""The HTTP endpoints."""

from activity_ingestor.web.api import make_api
from activity_ingestor.web.server import WebServer

__all__ = ["WebServer", "make_api"]
