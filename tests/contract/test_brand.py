"""The pictures that Home Assistant and HACS show."""

from pathlib import Path
import struct

import pytest

BRAND = Path(__file__).resolve().parents[2] / "custom_components/export_monitor/brand"
RGBA = 6  # PNG colour type
THEMES = ("", "dark_")  # the files' own beginnings


def header(name: str) -> tuple[int, int, int]:
    """Return width, height and colour type of a PNG."""
    data = (BRAND / name).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, _depth, colour = struct.unpack(">IIBB", data[16:26])
    return width, height, colour


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("name", "side"), [("icon.png", 256), ("icon@2x.png", 512)])
def test_icons_are_square_of_the_right_size_and_transparent(
    theme: str, name: str, side: int
) -> None:
    assert header(theme + name) == (side, side, RGBA)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("name", "shortest"), [("logo.png", 128), ("logo@2x.png", 256)])
def test_logos_are_landscape_of_the_right_height_and_transparent(
    theme: str, name: str, shortest: int
) -> None:
    width, height, colour = header(theme + name)
    assert (height, colour) == (shortest, RGBA)
    assert width > height


def test_nothing_else_and_nothing_heavy_is_shipped() -> None:
    files = {path.name: path.stat().st_size for path in BRAND.iterdir()}
    pictures = ("icon.png", "icon@2x.png", "logo.png", "logo@2x.png")
    assert set(files) == {theme + picture for theme in THEMES for picture in pictures}
    assert max(files.values()) < 50_000


def test_the_dark_ones_are_others_than_those_for_light_themes() -> None:
    for name in ("icon.png", "logo.png"):
        assert (BRAND / name).read_bytes() != (BRAND / f"dark_{name}").read_bytes()
