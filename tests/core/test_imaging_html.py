"""HTML pages as PDF: all that is said is there, in order; what cannot be is refused; nothing is fetched."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.errors import NotRenderable
from core.imaging.html import pdf_of_html


def text_of(pdf: bytes) -> str:
    """Words of every page, one space between."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        pages = [page.get_textpage().get_text_bounded() for page in document]
    finally:
        document.close()
    return " ".join(" ".join(pages).split())


def made(folder: Path, page: str | bytes, charset: str = "") -> str:
    """What the PDF of a page says."""
    path = folder / "page.html"
    path.write_bytes(page.encode() if isinstance(page, str) else page)
    return text_of(pdf_of_html(path, charset))


def picture() -> str:
    out = io.BytesIO()
    Image.new("RGB", (3000, 40), "red").save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<p>a &amp; b &lt;c&gt; <b>bold</b> and <b>Жирный</b>", "a & b <c> bold and Жирный"),
        ("<head><title>T</title><meta charset=utf-8><p>no body tag", "no body tag"),
        ("<ul><li>one<li>two<ol start=4><li>in</ol><li>three</ul>", "• one • two 4. in • three"),
        ("<table><caption>C</caption>lost?<tr><td>1<td>2<tr><th>3</table>after", "C lost? 1 2 3 after"),
        (
            "<table><tr><td>alpha<table><tr><td>beta<td>gamma</table>delta<td>eta</table>",
            "alpha beta gamma delta eta",
        ),
        ("<table><tr>no cell</table>", "no cell"),
        ("<p>one<p>two<div>three</p>four</div></i></b>five", "one two three four five"),
        ("text<script>not this</script><style>nor this</style>", "text"),
        ("<pre>a\n  b</pre>", "a b"),
        ("<input value=typed><input type=hidden value=not>", "typed"),
        (f"<p>before<img src='{picture()}'>after", "before after"),
        ("<table><tr><td>" + "word " * 3000 + "</table>", ("word " * 3000).strip()),
        ("<p>" * 6000 + "deep", "deep"),
        ("W" * 400, None),
    ],
)
def test_everything_said_is_there(tmp_path: Path, page: str, said: str | None) -> None:
    found = made(tmp_path, page)
    assert found == said if said is not None else found.replace(" ", "") == page


@pytest.mark.parametrize("sent", ["", "iso-8859-7", "no-such-set"])
def test_character_sets(tmp_path: Path, sent: str) -> None:
    greek = "Γάμμα"
    if sent == "iso-8859-7":
        assert made(tmp_path, greek.encode("iso-8859-7"), sent) == greek
    assert made(tmp_path, b'<meta charset="iso-8859-7">' + greek.encode("iso-8859-7"), sent) == greek
    assert made(tmp_path, "Größe".encode("cp1252"), "") == "Größe"
    assert made(tmp_path, b"\xef\xbb\xbf" + greek.encode(), "") == greek


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<html></html>",
        "<p>x<img src=http://127.0.0.1:9/x.png>",
        "<p>x<img src=file:///etc/passwd>",
        "<p>x<img>",
        "<p>x<img src='data:image/png;base64,AAAA'>",
        "<p>x<svg><text>drawn</text></svg>",
        "<p>x<iframe src=y></iframe>",
        "<p>日本語",
        "<p>שלום",
        "<table><tr>" + "<td>x" * 50 + "</table>",
        "<table><tr><td>" * 20 + "x",
        "<div>" * 6000 + "x",
    ],
)
def test_what_would_be_lost_is_refused(tmp_path: Path, page: str) -> None:
    with pytest.raises(NotRenderable) as refused:
        made(tmp_path, page)
    assert refused.value.message


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            ["<p>", "</p>", "<table>", "<tr>", "<td>", "</table>", "<ul>", "<li>", "</ul>", "<b>", "</b>",
             "<", "&", "x y", "<!--", "-->", "<pre>", "</pre>", "<br>", "<hr>", "<h1>", "</h1>", "word"]
        ),
        max_size=30,
    )
)  # fmt: skip
def test_no_page_is_too_odd(tmp_path: Path, pieces: list[str]) -> None:
    try:
        made(tmp_path, "".join(pieces))
    except NotRenderable as error:
        assert error.message
