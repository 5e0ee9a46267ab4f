"""What is delivered beside the code fits it: alert rules, dashboard, app, unit, documentation."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import re
import shutil
import subprocess

from prometheus_client import CollectorRegistry
import pytest

from activity_ingestor.clock import SystemClock
from activity_ingestor.metrics import Histograms
from activity_ingestor.parts import build
from activity_ingestor.pool import Pool
from activity_ingestor.settings import Settings, load
from tests.conftest import need
from tests.support.servers import program

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
_NAME = re.compile(r"\b(?:ingestor|export_monitor|process)_[a-z_]+\b")
_SUFFIX = re.compile(r"_(?:total|bucket|sum|count|created)$")
_LABELS = {"export_monitor", "ingestor_bench"}


@pytest.fixture
async def metric_names(tmp_path: Path) -> set[str]:
    """Return the families that the service serves, with every part enabled."""
    clock, registry = SystemClock(), CollectorRegistry()
    pool = Pool(clock, registry)
    async with pool.open() as session:
        parts = build(
            load(
                home_assistant_url="http://ha:8123",
                mqtt_host="broker",
                alarm_mqtt_topic="alarm",
                stop_topic="stop",
                sink="files",
                data_folder=tmp_path,
            ),
            clock,
            session,
            pool.report,
            registry,
            Histograms(registry),
            remembered={},
        )
        families = {family.name for family in registry.collect()}
        parts.spool._disk.shutdown()
    return families


def used(text: str) -> set[str]:
    return {_SUFFIX.sub("", name) for name in _NAME.findall(text)} - _LABELS


def expressions() -> Iterator[tuple[str, str]]:
    yield (
        "alerts",
        "\n".join(
            line for line in (DEPLOY / "alerts.yml").read_text().splitlines() if "expr:" in line
        ),
    )
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    targets = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]
    yield "dashboard", "\n".join(targets)


def test_rules_and_dashboard_ask_for_metrics_that_exist(metric_names: set[str]) -> None:
    for name, text in expressions():
        asked = used(text)
        assert len(asked) > 5, name
        assert asked <= metric_names, name


def test_the_readme_lists_every_metric(metric_names: set[str]) -> None:
    text = (ROOT / "README.md").read_text()
    ours = {n for n in metric_names if not n.startswith("process_")}
    assert {n for n in ours if n not in text} == set()


def test_the_readme_lists_every_setting() -> None:
    text = (ROOT / "README.md").read_text()
    assert {name for name in Settings.model_fields if f"`{name.upper()}`" not in text} == set()


def test_promtool_accepts_the_rules_and_they_fire_when_they_should() -> None:
    need("promtool")
    promtool = str(program("promtool"))
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            [promtool, *command], cwd=DEPLOY, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_dashboard_expressions_are_promql(tmp_path: Path) -> None:
    """As recording rules: promtool has no command for an expression alone."""
    need("promtool")
    _, text = list(expressions())[1]
    rules = [{"record": f"dashboard:{n}", "expr": e} for n, e in enumerate(text.split("\n"))]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        [str(program("promtool")), "check", "rules", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_app_offers_only_settings_that_exist() -> None:
    text = (ROOT / "homeassistant-app" / "config.yaml").read_text()
    schema = text.split("schema:")[1]
    offered = set(re.findall(r"^  (\w+):", schema, re.MULTILINE))
    assert offered <= set(Settings.model_fields)


def test_the_app_brings_its_own_base() -> None:
    """The supervisor sets BUILD_FROM to an image without Python."""
    text = (ROOT / "homeassistant-app" / "Dockerfile").read_text()
    assert "ARG BUILD_FROM" not in text
    assert "FROM ${BASE_IMAGE}" in text


def test_the_unit_is_accepted_by_systemd() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(DEPLOY / "activity-ingestor.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [
        row
        for row in done.stderr.splitlines()
        # The program is not installed where tests run.
        if "activity-ingestor.service" in row and "is not executable" not in row
    ]
    assert [row for row in ours if "Command" not in row] == []


def test_every_weak_point_in_the_readme_has_its_test() -> None:
    text = (ROOT / "README.md").read_text().split("## Weak points")[1].split("\n## ")[0]
    named = set(re.findall(r"`(test_\w+)`", text))
    written = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert len(named) >= 9
    assert named <= written
