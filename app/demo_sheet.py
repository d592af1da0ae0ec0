"""The demo's contact sheet: one picture with the thumbnails an archive gave, each with its words below."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

COLUMNS, BOX, GAP, CAPTION, HEAD = 6, 168, 12, 36, 64
BACKGROUND, SURFACE, TEXT, MUTED = "#0B0D10", "#1C2024", "#E8EBEE", "#A2ACB8"


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture of the sheet; *jpeg* None where there is none, and *caption* then says why."""

    jpeg: bytes | None
    title: str
    caption: str


def draw(title: str, subtitle: str, cells: Sequence[Cell]) -> Image.Image:
    """The sheet as an RGB picture."""
    rows = -(-len(cells) // COLUMNS)
    step = BOX + GAP
    size = (GAP + COLUMNS * step, HEAD + rows * (step + CAPTION) + GAP)
    sheet = Image.new("RGB", size, BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, 12), title, TEXT, _font(20))
    pen.text((GAP, 40), subtitle, MUTED, _font(13))
    for n, cell in enumerate(cells):
        x, y = GAP + (n % COLUMNS) * step, HEAD + (n // COLUMNS) * (step + CAPTION)
        pen.rectangle((x, y, x + BOX, y + BOX), SURFACE)
        if cell.jpeg is not None:
            with Image.open(io.BytesIO(cell.jpeg)) as picture:
                shown = picture.convert("RGB")
            shown.thumbnail((BOX, BOX))
            sheet.paste(shown, (x + (BOX - shown.width) // 2, y + (BOX - shown.height) // 2))
        pen.text((x, y + BOX + 4), cell.title, TEXT, _font(12))
        pen.text((x, y + BOX + 19), cell.caption, MUTED, _font(11))
    return sheet


def write(path: Path, title: str, subtitle: str, cells: Sequence[Cell]) -> None:
    """Write the sheet as PNG."""
    draw(title, subtitle, cells).save(path, optimize=True)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)
