"""Lets Home Assistant find the integration in this repository."""

import pytest


@pytest.fixture(autouse=True)
def _custom_integrations(enable_custom_integrations: None) -> None:
    """Look for custom integrations."""
