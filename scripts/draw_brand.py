"""Draws the integration's icon and logo (usage: .venv/ceiling/bin/python scripts/draw_brand.py).

A battery whose charge leaves by an arrow for the grid: brand/icon.png and brand/logo.png, each
in both sizes that Home Assistant asks for.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

BRAND = Path(__file__).resolve().parents[1] / "custom_components/export_monitor/brand"
SMOOTHING = 4  # drawn larger and scaled down
# Readable on light and on dark themes alike.
SHELL = (104, 134, 150, 255)
CHARGE = (67, 160, 71, 255)
ARROW = (251, 140, 0, 255)
GRID = (30, 136, 229, 255)
UNIT = 256


def icon(size: int) -> Image.Image:
    """Draw the icon, `size` pixels square, to its very edges."""
    scale = size * SMOOTHING / UNIT
    image = Image.new("RGBA", (size * SMOOTHING, size * SMOOTHING))
    draw = ImageDraw.Draw(image)

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, ...]:
        return tuple(edge * scale for edge in (left, top, right - 1 / scale, bottom - 1 / scale))

    def round_box(edges: tuple[float, ...], radius: float, fill: tuple[int, ...]) -> None:
        draw.rounded_rectangle(edges, radius=radius * scale, fill=fill)

    def shape(points: list[tuple[float, float]], fill: tuple[int, ...]) -> None:
        draw.polygon([(x * scale, y * scale) for x, y in points], fill=fill)

    # The battery: pole, shell, hollow, and what is left of its charge.
    round_box(box(42, 0, 94, 40), 10, SHELL)
    round_box(box(0, 22, 136, 256), 24, SHELL)
    round_box(box(17, 39, 119, 239), 12, (0, 0, 0, 0))
    round_box(box(27, 129, 109, 229), 8, CHARGE)
    round_box(box(27, 89, 109, 119), 8, (*CHARGE[:3], 110))

    # The grid: a line on a pole with two arms.
    round_box(box(216, 0, 233, 256), 8, GRID)
    round_box(box(193, 34, 256, 50), 8, GRID)
    round_box(box(193, 80, 256, 96), 8, GRID)

    # The arrow between them, set off by a gap.
    gap = 9
    head = [(172 - gap, 116 - 2 * gap), (172 - gap, 246 + 2 * gap), (244 + 2 * gap, 181)]
    round_box(box(60 - gap, 160 - gap, 190, 202 + gap), 14, (0, 0, 0, 0))
    shape(head, (0, 0, 0, 0))
    round_box(box(60, 160, 186, 202), 10, ARROW)
    shape([(172, 126), (172, 236), (240, 181)], ARROW)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def logo(height: int) -> Image.Image:
    """Draw the icon with the name beside it, `height` pixels high, without empty edges."""
    mark = icon(height)
    font = ImageFont.load_default(size=height * 0.40)
    words = ("Export", "Monitor")
    left = round(height * 1.14)
    image = Image.new("RGBA", (height * 5, height))
    image.alpha_composite(mark)
    draw = ImageDraw.Draw(image)
    for row, (word, colour) in enumerate(zip(words, (ARROW, SHELL), strict=True)):
        middle = height * (0.27 + 0.46 * row)
        draw.text((left, middle), word, font=font, fill=colour, anchor="lm")
    return image.crop((0, 0, (image.getbbox() or (0, 0, height, height))[2], height))


def main() -> None:
    """Write the four files."""
    BRAND.mkdir(exist_ok=True)
    for suffix, factor in (("", 1), ("@2x", 2)):
        icon(256 * factor).save(BRAND / f"icon{suffix}.png", optimize=True)
        logo(128 * factor).save(BRAND / f"logo{suffix}.png", optimize=True)


if __name__ == "__main__":
    main()
