"""Draws the integration's icon and logo (usage: .venv/ceiling/bin/python scripts/draw_brand.py).

A battery whose charge leaves by an arrow for the grid: brand/icon.png and brand/logo.png, each
in both sizes that Home Assistant asks for, and again for dark themes.
"""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

BRAND = Path(__file__).resolve().parents[1] / "custom_components/export_monitor/brand"
SMOOTHING = 4  # drawn larger and scaled down
UNIT = 256

type Colour = tuple[int, int, int, int]


@dataclass(frozen=True)
class Palette:
    """The four colours, and that of the name's first word, told apart on one kind of theme."""

    casing: Colour
    charge: Colour
    arrow: Colour
    grid: Colour
    name: Colour


LIGHT = Palette(
    casing=(84, 110, 122, 255),
    charge=(67, 160, 71, 255),
    arrow=(251, 140, 0, 255),
    grid=(30, 136, 229, 255),
    name=(191, 87, 0, 255),
)
DARK = Palette(
    casing=(176, 190, 197, 255),
    charge=(102, 187, 106, 255),
    arrow=(255, 167, 38, 255),
    grid=(66, 165, 245, 255),
    name=(255, 167, 38, 255),
)


def icon(size: int, palette: Palette = LIGHT) -> Image.Image:
    """Draw the icon, `size` pixels square, to its very edges."""
    scale = size * SMOOTHING / UNIT
    image = Image.new("RGBA", (size * SMOOTHING, size * SMOOTHING))
    draw = ImageDraw.Draw(image)

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, ...]:
        return tuple(edge * scale for edge in (left, top, right - 1 / scale, bottom - 1 / scale))

    def round_box(edges: tuple[float, ...], radius: float, fill: Colour) -> None:
        draw.rounded_rectangle(edges, radius=radius * scale, fill=fill)

    def shape(points: list[tuple[float, float]], fill: Colour) -> None:
        draw.polygon([(x * scale, y * scale) for x, y in points], fill=fill)

    # The battery: pole, shell, hollow, and what is left of its charge.
    round_box(box(42, 0, 94, 40), 10, palette.casing)
    round_box(box(0, 22, 136, 256), 24, palette.casing)
    round_box(box(17, 39, 119, 239), 12, (0, 0, 0, 0))
    round_box(box(27, 129, 109, 229), 8, palette.charge)
    round_box(box(27, 89, 109, 119), 8, (*palette.charge[:3], 110))

    # The grid: a line on a pole with two arms.
    round_box(box(216, 0, 233, 256), 8, palette.grid)
    round_box(box(193, 34, 256, 50), 8, palette.grid)
    round_box(box(193, 80, 256, 96), 8, palette.grid)

    # The arrow between them, set off by a gap.
    gap = 9
    head = [(172 - gap, 116 - 2 * gap), (172 - gap, 246 + 2 * gap), (244 + 2 * gap, 181)]
    round_box(box(60 - gap, 160 - gap, 190, 202 + gap), 14, (0, 0, 0, 0))
    shape(head, (0, 0, 0, 0))
    round_box(box(60, 160, 186, 202), 10, palette.arrow)
    shape([(172, 126), (172, 236), (240, 181)], palette.arrow)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def logo(height: int, palette: Palette = LIGHT) -> Image.Image:
    """Draw the icon with the name beside it, `height` pixels high, without empty edges."""
    mark = icon(height, palette)
    font = ImageFont.load_default(size=height * 0.40)
    words = ("Export", "Monitor")
    left = round(height * 1.14)
    image = Image.new("RGBA", (height * 5, height))
    image.alpha_composite(mark)
    draw = ImageDraw.Draw(image)
    for row, (word, colour) in enumerate(zip(words, (palette.name, palette.casing), strict=True)):
        middle = height * (0.27 + 0.46 * row)
        draw.text((left, middle), word, font=font, fill=colour, anchor="lm")
    return image.crop((0, 0, (image.getbbox() or (0, 0, height, height))[2], height))


def main() -> None:
    """Write the eight files."""
    BRAND.mkdir(exist_ok=True)
    for prefix, palette in (("", LIGHT), ("dark_", DARK)):
        for suffix, factor in (("", 1), ("@2x", 2)):
            icon(256 * factor, palette).save(BRAND / f"{prefix}icon{suffix}.png", optimize=True)
            logo(128 * factor, palette).save(BRAND / f"{prefix}logo{suffix}.png", optimize=True)


if __name__ == "__main__":
    main()
