"""The pictures that Home Assistant and HACS show."""

from pathlib import Path
import struct

import pytest

BRAND = Path(__file__).resolve().parents[2] / "custom_components/export_monitor/brand"
RGBA = 6  # PNG colour type


def header(name: str) -> tuple[int, int, int]:
    """Return width, height and colour type of a PNG."""
    data = (BRAND / name).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, _depth, colour = struct.unpack(">IIBB", data[16:26])
    return width, height, colour


@pytest.mark.parametrize(("name", "side"), [("icon.png", 256), ("icon@2x.png", 512)])
def test_icons_are_square_of_the_right_size_and_transparent(name: str, side: int) -> None:
    assert header(name) == (side, side, RGBA)


@pytest.mark.parametrize(("name", "shortest"), [("logo.png", 128), ("logo@2x.png", 256)])
def test_logos_are_landscape_of_the_right_height_and_transparent(name: str, shortest: int) -> None:
    width, height, colour = header(name)
    assert (height, colour) == (shortest, RGBA)
    assert width > height


def test_nothing_else_and_nothing_heavy_is_shipped() -> None:
    files = {path.name: path.stat().st_size for path in BRAND.iterdir()}
    assert set(files) == {"icon.png", "icon@2x.png", "logo.png", "logo@2x.png"}
    assert max(files.values()) < 50_000
