"""The demo without anybody looking: what `scripts/demo --check` does."""

from argparse import Namespace
from pathlib import Path

import pytest

from simulator import demo
from tests.e2e.world import complaints

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(360)]


async def test_a_discharge_stops_by_itself_at_the_allowance_without_a_word_of_complaint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await demo.run(Namespace(check=True, port=0, folder=tmp_path))
    assert capsys.readouterr().out.rstrip().endswith("check passed")
    assert complaints(tmp_path / "config") == []
