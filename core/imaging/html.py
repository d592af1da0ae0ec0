"""An HTML page as a PDF: its text, headings, lists, tables and the pictures inside of it, in a plain layout.

Nothing is fetched and no script runs. What cannot be shown as it is meant is refused, so that a report loses
no part unheard: pictures that lie elsewhere, drawings, signs no font here has.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from core.errors import NotRenderable

LARGEST_BYTES = 16 << 20
MOST_PIXELS = 64_000_000
DEEPEST = 12
MARGIN = 56.0
WIDTH, HEIGHT = 595.28, 841.89
"""A4, in points."""
FONT, BOLD, CODE = "Noto Sans", "Helvetica-Bold", "Courier"
SIZES = {"h1": 20.0, "h2": 16.0, "h3": 13.0, "h4": 11.5, "h5": 10.5, "h6": 10.0}
BLOCKS = frozenset(
    """address article aside blockquote body caption center dd div dl dt fieldset figcaption figure footer
    form header hr li main nav ol p pre section ul h1 h2 h3 h4 h5 h6""".split()  # noqa: SIM905 # fewer lines so
)
VOID = frozenset(("base", "br", "col", "hr", "img", "input", "link", "meta", "wbr"))
SILENT = frozenset(("head", "script", "style", "template", "title"))
BOLDLY = frozenset(("b", "strong", "th", *SIZES))
MARKS = {"u": "u", "ins": "u", "s": "strike", "del": "strike", "sup": "super", "sub": "sub"}
BEYOND = frozenset(
    ("applet", "audio", "canvas", "embed", "frame", "iframe", "math", "object", "svg", "video")
)
ENDED_BY: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "p": (frozenset({"p"}), frozenset({"table", "div", "li"})),
    "li": (frozenset({"li"}), frozenset({"ul", "ol"})),
    "dt": (frozenset({"dt", "dd"}), frozenset({"dl"})),
    "dd": (frozenset({"dt", "dd"}), frozenset({"dl"})),
    "td": (frozenset({"td", "th"}), frozenset({"tr", "table"})),
    "th": (frozenset({"td", "th"}), frozenset({"tr", "table"})),
    "tr": (frozenset({"tr"}), frozenset({"table"})),
}
"""By tag that opens: which open ones it ends, and beyond which it does not look for them."""
NOTHING: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
PICTURE = re.compile(r"data:image/(?:png|jpe?g|gif);base64,(.*)", re.DOTALL)
CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
UNSEEN = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF])


def pdf_of_html(path: Path, charset: str = "") -> bytes:
    """The page at *path* as a PDF. Raises NotRenderable with what stands in the way."""
    from reportlab.platypus import SimpleDocTemplate
    from reportlab.platypus.doctemplate import LayoutError

    data = path.read_bytes()
    if len(data) > LARGEST_BYTES:
        raise NotRenderable("The page is too large to be made into a PDF.")
    parser = _Parser()
    parser.feed(_decoded(data, charset))
    parser.close()
    story = parser.finished()
    if not story:
        raise NotRenderable("There is nothing on the page.")
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=(WIDTH, HEIGHT),
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=parser.title.strip()[:200],
        invariant=1,
    )
    try:
        document.build(story)
    except LayoutError as error:
        raise NotRenderable("The page has something that does not fit on a sheet.") from error
    return out.getvalue()


def _decoded(data: bytes, charset: str) -> str:
    found = CHARSET.search(data[:4096])
    for name in (charset, found[1].decode("ascii") if found else "", "utf-8-sig", "cp1252"):
        if name:
            try:
                return data.decode(name)
            except (UnicodeDecodeError, LookupError):
                continue
    raise NotRenderable("The character set of the page cannot be told.")


@dataclass(slots=True)
class _Table:
    """A table being read: what stands before its first cell, and its rows of cells."""

    before: list[Any] = field(default_factory=list)
    rows: list[list[list[Any]]] = field(default_factory=list)


class _Parser(HTMLParser):
    """Gathers flowables; a cell of a table gathers its own."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._fonts = _Fonts()
        self._story: list[list[Any]] = [[]]
        self._tables: list[_Table] = []
        self._runs: list[str] = []
        self._open: list[str] = []
        self._lists: list[int | None] = []
        self._bullet = ""

    def finished(self) -> list[Any]:
        """Everything that was found."""
        self._flush()
        while self._tables:
            self._end_table()
        return self._story[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag opens."""
        said = {name: value or "" for name, value in attrs}
        self._end_implied(tag)
        if tag in BEYOND:
            raise NotRenderable(f"The page has a part ({tag}) that cannot be put into a PDF here.")
        if tag == "br":
            self._runs.append("<br/>")
        elif tag == "img":
            self._picture(said)
        elif tag == "input" and said.get("type", "text").lower() not in ("hidden", "image", "password"):
            self.handle_data(said.get("value", ""))
        elif tag == "table":
            self._begin_table()
        elif tag in ("tr", "td", "th") and self._tables:
            self._begin_cell(tag)
        elif tag in BLOCKS:
            self._block(tag, said)
        if tag not in VOID:
            self._open.append(tag)
            if len(self._open) > 5000:
                raise NotRenderable("The page nests its parts too deeply.")

    def _end_implied(self, tag: str) -> None:
        """What need not be closed by itself is, where another begins."""
        if tag in BLOCKS or tag == "table":
            self._open = [each for each in self._open if each != "head"]
        ends, until = ENDED_BY.get(tag, ENDED_BY["p"] if tag in BLOCKS or tag == "table" else NOTHING)
        for each in reversed(self._open):
            if each in until:
                return
            if each in ends:
                self.handle_endtag(each)
                return

    def handle_endtag(self, tag: str) -> None:
        """A tag closes, with what was left open in it."""
        if tag not in self._open:
            if tag in BLOCKS:
                self._flush()  # a stray one parts what stands before and behind it
            return
        if tag in ("td", "th", "tr"):
            self._flush()
        elif tag == "table" and self._tables:
            self._end_table()
        elif tag in BLOCKS:
            self._flush()
            if tag in ("ul", "ol") and self._lists:
                self._lists.pop()
        while self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Text."""
        if "title" in self._open:
            self.title += data
        if SILENT.intersection(self._open[-8:]):
            return
        text = data.translate(UNSEEN)
        as_it_is = "pre" in self._open
        if not as_it_is:
            text = re.sub(r"[ \t\r\n]+", " ", text)
        if text:
            self._runs.append(self._marked(text, as_it_is=as_it_is))

    def _marked(self, text: str, *, as_it_is: bool) -> str:
        markup = escape(text)
        if as_it_is:
            markup = markup.replace("\r\n", "\n").replace("\n", "<br/>").replace(" ", "\u00a0")
        font = self._fonts.of(text, bold=bool(BOLDLY.intersection(self._open)), code=as_it_is)
        if font != FONT:
            markup = f'<font name="{font}">{markup}</font>'
        for tag in sorted({MARKS[each] for each in self._open if each in MARKS}):
            markup = f"<{tag}>{markup}</{tag}>"
        return markup

    def _block(self, tag: str, said: Mapping[str, str]) -> None:
        from reportlab.platypus import HRFlowable

        self._flush()
        if tag in ("ul", "ol"):
            start = said.get("start", "1")
            first = int(start) if start.isascii() and start.isdigit() and len(start) < 9 else 1
            self._lists.append(first - 1 if tag == "ol" else None)
        elif tag == "li":
            number = self._lists[-1] if self._lists else None
            self._bullet = "•" if number is None else f"{number + 1}."
            if self._lists and number is not None:
                self._lists[-1] = number + 1
        elif tag == "hr":
            self._story[-1].append(HRFlowable(width="100%", spaceBefore=4, spaceAfter=4))

    def _flush(self) -> None:
        """What was gathered is a paragraph."""
        from reportlab.platypus import Paragraph

        markup = "".join(self._runs).strip()
        self._runs = []
        if not markup or not re.sub(r"<br/>|\s", "", markup):
            return
        bullet, self._bullet = self._bullet, ""
        style = self._fonts.style(self._open, len(self._lists))
        self._story[-1].append(Paragraph(markup, style, bulletText=bullet or None))

    def _picture(self, said: Mapping[str, str]) -> None:
        from PIL import Image as Picture
        from PIL import UnidentifiedImageError
        from reportlab.platypus import Image

        match = PICTURE.fullmatch(said.get("src", "").strip())
        if match is None:
            raise NotRenderable("The page shows a picture that is not inside of it; nothing is fetched.")
        try:
            data = base64.b64decode(re.sub(r"\s+", "", match[1]), validate=True)
            with Picture.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF")) as picture:
                width, height = picture.size
                if width * height > MOST_PIXELS:
                    raise NotRenderable("A picture on the page is too large.")
                picture.load()
        except (binascii.Error, UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise NotRenderable("A picture on the page is damaged.") from error
        self._flush()
        room = (WIDTH - 2 * MARGIN) / (4 if self._tables else 1)
        scale = min(0.75, room / width, (HEIGHT - 2 * MARGIN - 20) / height)
        self._story[-1].append(Image(io.BytesIO(data), width * scale, height * scale))

    def _begin_table(self) -> None:
        self._flush()
        if len(self._tables) >= DEEPEST:
            raise NotRenderable("The page nests tables too deeply.")
        self._tables.append(_Table())
        self._story.append(self._tables[-1].before)

    def _begin_cell(self, tag: str) -> None:
        self._flush()
        table = self._tables[-1]
        if tag == "tr" or not table.rows:
            table.rows.append([])
        if tag != "tr":
            self._story[-1] = []
            table.rows[-1].append(self._story[-1])

    def _end_table(self) -> None:
        from reportlab.lib.colors import grey
        from reportlab.platypus import Table

        self._flush()
        table = self._tables.pop()
        self._story.pop()
        self._story[-1].extend(table.before)
        rows = [row for row in table.rows if row]
        if not rows:
            return
        columns = max(len(row) for row in rows)
        if columns > 40:
            raise NotRenderable("A table on the page has too many columns for a sheet.")
        filled = [row + [[]] * (columns - len(row)) for row in rows]
        made = Table(filled, colWidths=[f"{100 / columns:.3f}%"] * columns, splitInRow=1)
        made.setStyle([("GRID", (0, 0), (-1, -1), 0.4, grey), ("VALIGN", (0, 0), (-1, -1), "TOP")])
        self._story[-1].append(made)


class _Fonts:
    """What text is set in: Noto Sans has Latin, Greek, Cyrillic; bold and code have the signs of cp1252."""

    def __init__(self) -> None:
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.ttfonts import TTFont

        where = resources.files("fontpkg_noto_sans") / "files" / "NotoSans[wdth,wght].ttf"
        with resources.as_file(where) as file:
            font = TTFont(FONT, str(file))
        pdfmetrics.registerFont(font)
        self._known = font.face.charToGlyph

    def of(self, text: str, *, bold: bool, code: bool) -> str:
        """The font that has every sign of *text*. Raises NotRenderable if there is none."""
        if bold or code:
            try:
                text.encode("cp1252")
            except UnicodeEncodeError:
                pass
            else:
                return BOLD if bold else CODE
        unknown = next((sign for sign in text if ord(sign) > 32 and ord(sign) not in self._known), "")
        if unknown:
            raise NotRenderable(f"No font here has a sign on the page (U+{ord(unknown):04X}).")
        return FONT

    def style(self, open_tags: list[str], depth: int) -> Any:
        """Of a paragraph within these tags, in so many lists."""
        from reportlab.lib.styles import ParagraphStyle

        heading = next((tag for tag in reversed(open_tags) if tag in SIZES), "")
        size = SIZES.get(heading, 10.0)
        indent = 16.0 * min(depth, DEEPEST)
        return ParagraphStyle(
            heading or "text",
            fontName=FONT,
            fontSize=size,
            leading=size * 1.35,
            spaceBefore=size * (0.7 if heading else 0.25),
            spaceAfter=size * 0.25,
            leftIndent=indent,
            bulletIndent=max(0.0, indent - 14),
            bulletFontName=FONT,
            keepWithNext=bool(heading),
        )
