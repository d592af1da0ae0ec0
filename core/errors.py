"""The one tree of errors: a *known* error is the world's fault and has a remedy; all else is our bug.

FilmjacketError
└── KnownError            message (what is wrong, where) + remedy (what to do); safe to show, no PHI
    ├── BadInput          what came in cannot be accepted (HTTP 400)
    │   ├── NotDicom      the bytes are no DICOM object
    │   ├── TooLarge      over a stated limit (413)
    │   ├── Unsupported   understood, but of a kind this operation cannot take (415)
    │   └── MissingElement    a DICOM element that must be there is not (412)
    ├── NotAcceptable     there, but not in the form it was asked for (406)
    │   └── NoImages      a study that has none was asked for something only images can give
    ├── NotRenderable     an object without a picture, or a picture no decoder here can read (415)
    ├── NotFound          namespace, study, series, image, frame or attachment (404)
    ├── Unauthenticated   who are you (401)
    ├── Denied            you may not (403)
    ├── Conflict          collides with what is there (409)
    ├── Busy              another process holds the data folder
    ├── StorageFault      the disk is full or failing; nothing was kept (507)
    ├── SourceFault       a file being read is gone, unreadable, or changed under our hands
    └── Unreachable       a network peer refused, vanished or took too long (502)
        └── TookTooLong   it was there, and did not answer in time
"""

from __future__ import annotations


class FilmjacketError(Exception):
    """Root of the tree."""


class KnownError(FilmjacketError):
    """The world's fault: *message* says what is wrong and where, *remedy* what a person can do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class BadInput(KnownError):
    """What came in cannot be accepted."""


class NotDicom(BadInput):
    """The bytes are no DICOM object."""


class TooLarge(BadInput):
    """Over a stated limit."""


class Unsupported(BadInput):
    """Understood, but of a kind this operation cannot take."""


class MissingElement(BadInput):
    """A DICOM element that must be there is not."""


class NotRenderable(KnownError):
    """No picture can be made of this object; the message says why."""


class NotAcceptable(KnownError):
    """What is there cannot be given in the form asked for; the remedy names forms that would do."""


class NoImages(NotAcceptable):
    """The study has no images, and this needs some."""


class NotFound(KnownError):
    """*kind* is namespace, study, series, image, frame or attachment."""

    def __init__(self, kind: str, message: str = "", remedy: str = "") -> None:
        super().__init__(message or f"There is no such {kind}.", remedy)
        self.kind = kind


class Unauthenticated(KnownError):
    """The caller did not say who they are, or not convincingly."""


class Denied(KnownError):
    """The caller is known and may not do this."""


class Conflict(KnownError):
    """Collides with what is already there."""


class Busy(KnownError):
    """Another process holds the data folder."""


class StorageFault(KnownError):
    """The disk is full or failing; nothing of the failed object was kept."""


class SourceFault(KnownError):
    """A file being read is gone, unreadable, or changed; *lasting* = reading it again cannot help."""

    def __init__(self, message: str, remedy: str = "", *, lasting: bool = False) -> None:
        super().__init__(message, remedy)
        self.lasting = lasting


class Unreachable(KnownError):
    """A network peer refused, vanished or took too long; it may ask not to be tried for *retry_after_s*."""

    def __init__(self, message: str, remedy: str = "", *, retry_after_s: float = 0.0) -> None:
        super().__init__(message, remedy)
        self.retry_after_s = retry_after_s


class TookTooLong(Unreachable):
    """A network peer did not take a request or answer it in time: less at once may do better."""
