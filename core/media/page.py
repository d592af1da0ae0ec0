"""The page a browser shows of a medium, INDEX.HTM, and its README.TXT (IHE PDI)."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from core.dicom.refs import Header

STYLE = """body{margin:0;background:#101418;color:#e6e9ec;font:16px/1.5 system-ui,sans-serif}
main{max-width:1100px;margin:auto;padding:24px}h1{font-size:24px}h2{font-size:20px;margin:32px 0 8px}
h3{font-size:16px;margin:24px 0 4px}a{color:#8ec7ff}p{margin:4px 0}
img{display:block;width:auto;height:auto;max-width:100%;max-height:70vh;min-height:240px;background:#000;
object-fit:contain}input{width:100%}
"""
SCRIPT = """document.querySelectorAll('[data-folder]').forEach(function (box) {
  var count = +box.dataset.count, image = box.querySelector('img'), slider = box.querySelector('input');
  var label = box.querySelector('output');
  function show(n) {
    n = Math.max(1, Math.min(count, n));
    image.src = box.dataset.folder + '/I' + ('00000' + n).slice(-6) + '.JPG';
    slider.value = n; label.textContent = n + ' / ' + count;
  }
  slider.addEventListener('input', function () { show(+slider.value); });
  image.addEventListener('wheel', function (e) {
    e.preventDefault(); show(+slider.value + (e.deltaY > 0 ? 1 : -1));
  }, {passive: false});
  show(1);
});
"""


@dataclass(slots=True)
class Pictured:
    """One series on the page: its pictures lie in *folder* as I000001.JPG and on."""

    header: Header
    folder: str
    objects: int = 0
    count: int = 0


@dataclass(slots=True)
class Contents:
    """Everything the page shows; *papers* are paths with what to call them."""

    series: dict[tuple[str, str], Pictured] = field(default_factory=dict)
    papers: list[tuple[str, str]] = field(default_factory=list)


def index(contents: Contents) -> bytes:
    """The page; it needs nothing but the files beside it, and shows links where there is no script."""
    body = ["<h1>Images on this medium</h1>"]
    study = ""
    for series in sorted(contents.series.values(), key=_order):
        header = series.header
        if header.study_instance_uid != study:
            study = header.study_instance_uid
            body.append(_study(header))
        body.append(_series(series))
    if contents.papers:
        links = "".join(
            f'<p><a href="{escape(path)}">{escape(name)}</a></p>' for path, name in contents.papers
        )
        body.append(f"<h2>Documents</h2>{links}")
    body.append("<p>These pictures are for looking at, not for diagnosis. The full images are in DICOM.</p>")
    text = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>Images</title>'
        '<meta name="viewport" content="width=device-width"/>'
        f"<style>{STYLE}</style></head><body><main>{''.join(body)}</main><script>{SCRIPT}</script></body></html>\n"
    )
    return text.encode("utf-8", "replace")


def readme(version: str, contents: Contents, *, dicom: bool, viewer: bool, videos: bool = False) -> bytes:
    """README.TXT: who wrote the medium, what lies where, what it is not."""
    lines = [
        "This medium holds medical images.",
        "",
        *(
            ["DICOMDIR      table of contents of the DICOM files", "DICOM         the images"]
            if dicom
            else []
        ),
        *(
            ["INDEX.HTM     open this in a browser to look at them", "IHE_PDI       its pictures"]
            if viewer
            else []
        ),
        *(["VIDEO         the moving ones as videos"] if videos else []),
        *(["DOCS          further documents"] if contents.papers else []),
        "",
        f"Written by Filmjacket {version}. Nothing on it starts by itself.",
        "The pictures of the browser page are not for diagnosis.",
        "Whoever finds this medium: it holds personal data; give it back to the clinic or the patient.",
        "",
    ]
    return "\r\n".join(lines).encode("ascii", "replace")


def _order(series: Pictured) -> tuple[str, str, str, int]:
    header = series.header
    return header.patient_id, header.study_date, header.study_instance_uid, header.series_number or 0


def _study(header: Header) -> str:
    patient = header.patient_name.split("=")[0].replace("^", " ").strip() or "No name"
    facts = [header.patient_id, header.patient_birth_date, header.patient_sex]
    study = [_date(header.study_date), header.study_description, header.institution_name]
    return (
        f"<h2>{escape(patient)}</h2><p>{escape('  ·  '.join(fact for fact in facts if fact))}</p>"
        f"<p>{escape('  ·  '.join(fact for fact in study if fact))}</p>"
    )


def _series(series: Pictured) -> str:
    header = series.header
    title = escape(
        " ".join(part for part in (header.modality, header.series_description) if part) or "Series"
    )
    if not series.count:
        return f"<h3>{title}</h3><p>{series.objects} without a picture</p>"
    first = f"{series.folder}/I000001.JPG"
    return (
        f'<h3>{title}</h3><div data-folder="{series.folder}" data-count="{series.count}">'
        f'<a href="{first}"><img src="{first}" alt="{title}"/></a>'
        f'<input type="range" min="1" max="{series.count}" value="1" aria-label="{title}: picture"/>'
        f"<output>1 / {series.count}</output></div>"
    )


def _date(value: str) -> str:
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if len(value) == 8 else value
