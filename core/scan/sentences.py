"""What a scan tells a clerk about a file that was not taken: one plain sentence each."""

from __future__ import annotations

import os

from core.dicom.refs import Header

TRUNCATED = "This image file is cut off: it ends before its contents do. Copy it again from its origin."
DAMAGED = "This file says it is a DICOM file, but its contents make no sense. Copy it again from its origin."
READ_FAULT = "The drive could not read this file. The disc may be scratched or dirty."
FOLDER_FAULT = "The drive could not read this folder. The disc may be scratched or dirty."
NOT_ALLOWED = "You have no permission to open this."
GONE = "This disappeared while reading, or is a link to nothing."
LINK_TO_NOWHERE = "This is a link that leads nowhere."
NO_ORDINARY_FILE = "This is a device or a program's channel, not an ordinary file."
PATH_TOO_LONG = "This lies in too many folders within folders to be opened."

DIRECTORY = "This is the disc's table of contents. It was used to check that nothing is missing."
DIRECTORY_CUT = "The disc's table of contents is cut off; every file was looked at instead."
DIRECTORY_DAMAGED = "The disc's table of contents is damaged; every file was looked at instead."

ZIP_DAMAGED = "This ZIP file is damaged or incomplete and cannot be opened."
ZIP_ENCRYPTED = "This is locked with a password inside its ZIP file. Unpack it with the password first."
ZIP_SLIP = "The name of this file leads out of its ZIP file. It was refused because that may be an attack."
ZIP_BOMB = "This unpacks to an absurd size. It was refused because that may be an attack."
ZIP_DEEP = "This ZIP file lies inside too many other ZIP files. Unpack it first."
ZIP_METHOD = "This is packed in a way that cannot be read here. Unpack it first."
ZIP_SHADOWED = "Another file of this name lies further back in the ZIP file, and only that one is read."
ZIP_FAULT = "This cannot be unpacked: its ZIP file is damaged."

_STARTS = (
    (b"%PDF", "This is a PDF document, not a DICOM file. It can be attached to a study."),
    (b"\xff\xd8\xff", "This is a photo (JPEG), not a DICOM file."),
    (b"\x89PNG", "This is a picture (PNG), not a DICOM file."),
    (b"GIF8", "This is a picture (GIF), not a DICOM file."),
    (b"BM", "This is a picture (BMP), not a DICOM file."),
    (b"II*\0", "This is a picture (TIFF), not a DICOM file."),
    (b"MM\0*", "This is a picture (TIFF), not a DICOM file."),
    (b"MZ", "This is a Windows program, such as a disc's own viewer."),
    (b"\x7fELF", "This is a program, such as a disc's own viewer."),
    (b"\xca\xfe\xba\xbe", "This is a program, such as a disc's own viewer."),
    (b"PK", "This is a packed document or program, not a DICOM file."),
    (b"Rar!", "This is a RAR archive, which cannot be read here. Unpack it first."),
    (b"7z\xbc\xaf", "This is a 7-Zip archive, which cannot be read here. Unpack it first."),
    (b"\x1f\x8b", "This is a packed file (gzip), which cannot be read here. Unpack it first."),
)
_PROGRAM = "This belongs to a disc's own viewer program."
_HELPER = "This is a note the operating system keeps in folders."
_TEXT = "This is a text file, not a DICOM file."
_WEB = "This is part of the disc's web pages, not a DICOM file."
_ENDINGS = {
    **dict.fromkeys(
        (".exe", ".dll", ".cfg", ".ico", ".ocx", ".msi", ".bat", ".sh", ".jar", ".class"), _PROGRAM
    ),
    **dict.fromkeys((".inf",), "This tells Windows what to start from the disc. Nothing was started."),
    **dict.fromkeys((".txt", ".rtf", ".log", ".md", ".csv"), _TEXT),
    **dict.fromkeys((".htm", ".html", ".css", ".js", ".xml", ".xsl"), _WEB),
    **dict.fromkeys((".mp4", ".avi", ".mpg", ".mov", ".wmv"), "This is a video, not a DICOM file."),
}
_NAMES = frozenset(("thumbs.db", ".ds_store", "desktop.ini"))


def no_dicom(head: bytes, name: str) -> str:
    """What a file that is no DICOM seems to be, by its first bytes and its name."""
    if not head:
        return "This file is empty."
    base = os.path.basename(name).lower()
    if base in _NAMES or base.startswith("._"):
        return _HELPER
    for start, sentence in _STARTS:
        if head.startswith(start):
            return sentence
    if head[4:8] == b"ftyp":
        return _ENDINGS[".mp4"]
    ending = os.path.splitext(base)[1]
    if ending in (".dcm", ".dicom", ".ima"):
        return "This file is named like a DICOM file but is none."
    return _ENDINGS.get(ending, "This is not a DICOM file.")


def missing_uids(header: Header) -> str:
    """Which identifying numbers an object lacks."""
    if not header.sop_instance_uid:
        return (
            "This DICOM file has no number of its own (SOP Instance UID), so it cannot be told from others."
        )
    return "This DICOM file says not to which study or series it belongs (no Study or Series UID)."


def duplicate(first: str) -> str:
    """The same file a second time."""
    return f"This is an exact copy of {first}."


def conflict(first: str, what: str) -> str:
    """Another file under a number already taken."""
    return (
        f"This has the same number (SOP Instance UID) as {first}, but {what}. Ask the sender which is right."
    )


def missing(path: str) -> str:
    """A file the DICOMDIR names that is not there."""
    return f"The disc's table of contents names {path}, but it is not there."
