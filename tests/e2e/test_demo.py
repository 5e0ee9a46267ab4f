"""The demo without anybody looking: the command of the README, or what it runs on this end."""

from pathlib import Path
import subprocess
import sys

import pytest

from tests.e2e.world import complaints

ROOT = Path(__file__).parents[2]
ON_THE_CEILING = Path(sys.prefix) == ROOT / ".venv/ceiling"
DEMO = ["scripts/demo"] if ON_THE_CEILING else [sys.executable, "-m", "simulator.demo"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(360)]


def test_a_discharge_stops_by_itself_at_the_allowance_without_a_word_of_complaint(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [*DEMO, "--check", "--folder", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.stdout.rstrip().endswith("check passed"), done.stdout
    assert done.returncode == 0
    assert complaints(tmp_path / "config") == []
