"""Where events go: databases that speak line protocol, or local files."""

from activity_ingestor.sink.base import Refusal, RefusedError, Sink, WriteResult
from activity_ingestor.sink.dead_letters import DeadLetter, DeadLetters
from activity_ingestor.sink.files import FileSink
from activity_ingestor.sink.influx import InfluxSink
from activity_ingestor.sink.writer import Writer, WriterReport

__all__ = [
    "DeadLetter",
    "DeadLetters",
    "FileSink",
    "InfluxSink",
    "Refusal",
    "RefusedError",
    "Sink",
    "WriteResult",
    "Writer",
    "WriterReport",
]
