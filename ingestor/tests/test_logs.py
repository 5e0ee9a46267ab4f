"""Logs: one event can be followed from its arrival to the write that stored it."""

from __future__ import annotations

from collections.abc import Iterator
import json
import logging
from pathlib import Path

import pytest
import structlog

from activity_ingestor import logs
from activity_ingestor.events import EventClass
from activity_ingestor.intake import Intake
from activity_ingestor.settings import load
from activity_ingestor.spool import Spool
from tests.support.clock import RushingClock
from tests.support.database import FakeDatabase
from tests.support.events import event, make_writer, running, written


@pytest.fixture
def _own_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


async def test_a_correlation_id_leads_from_the_event_to_its_write(
    spool: Spool, tmp_path: Path
) -> None:
    with structlog.testing.capture_logs() as said:
        receipt = Intake(spool).record(
            event(1, event_class=EventClass.SAFETY, session_id="session-1")
        )
        await spool.commit()
        writer = make_writer(spool, FakeDatabase(), RushingClock(), tmp_path, lane="vital")
        async with running(writer):
            await written(writer, spool)
    assert receipt is not None
    (arrived,) = [row for row in said if row["event"] == "event"]
    (stored,) = [row for row in said if row["event"] == "batch stored"]
    assert arrived["correlation_id"] == receipt.correlation_id == stored["first"]
    assert arrived["session_id"] == "session-1"
    assert stored["sessions"] == ["session-1"]


@pytest.mark.usefixtures("_own_root")
def test_json_lines_go_to_a_file_that_rotates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "logs" / "ingestor.log"
    logs.configure(
        load(
            home_assistant_url="http://ha:8123",
            sink="files",
            log_file=path,
            log_file_bytes=1 << 16,
            log_files=3,
        )
    )
    log = structlog.get_logger("test")
    for number in range(3000):
        log.info("something", number=number, session_id="session-1")
    log.debug("too fine")
    files = sorted(p.name for p in path.parent.iterdir())
    assert files == ["ingestor.log", "ingestor.log.1", "ingestor.log.2"]
    last = json.loads(path.read_text().splitlines()[-1])
    assert (last["event"], last["number"], last["level"]) == ("something", 2999, "info")
    assert last["session_id"] == "session-1"
    assert json.loads(capsys.readouterr().out.splitlines()[0])["number"] == 0
