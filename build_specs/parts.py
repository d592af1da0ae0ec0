"""What goes into the frozen application beyond what PyInstaller finds, and what stays out; tests check it."""

from __future__ import annotations

# imagecodecs loads a codec when its function is first asked for; these are those that core/imaging asks for.
CODECS = ("_htj2k", "_imcd", "_jpeg2k", "_jpeg8", "_jpegls", "_jpegsof3", "_jpegxl", "_png")

HIDDEN = (
    *(f"imagecodecs.{codec}" for codec in CODECS),
    "imagecodecs._shared",
    "imagecodecs._shared_cython",
    "fontpkg_noto_sans",
    "resources",
    "rle.rle",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.wsproto_impl",
)

# Data of packages: fonts of icons, character tables, the web pages of the archive.
DATA = ("fontpkg_noto_sans", "qtawesome", "resources")

# Keyring finds its backends by the metadata of installed packages.
METADATA = ("keyring", "pydicom", "pylibjpeg", "pylibjpeg-rle")

EXCLUDED = (
    "IPython",
    "PIL._avif",
    "PIL._webp",
    "PIL._imagingtk",
    "PIL.ImageTk",
    "PyInstaller",
    "_pytest",
    "grimp",
    "hypothesis",
    "importlinter",
    "matplotlib",
    "mypy",
    "pip",
    "pydoc_data",
    "pytest",
    "scipy",
    "setuptools",
    "tests",
    "tkinter",
)

QT_MODULES = ("QtCore", "QtDBus", "QtGui", "QtSvg", "QtWidgets")

# Parts of Qt that hooks bring along and nothing here loads.
UNUSED_QT = (
    "Qt6Qml",
    "Qt6Quick",
    "Qt6VirtualKeyboard",
    "Qt6Pdf",
    "Qt6Network",
    "Qt6EglF",
    "PySide6/QtNetwork",
    "PySide6/QtOpenGL",
    "Qt6ShaderTools",
    "plugins/generic/",
    "plugins/networkinformation",
    "plugins/tls",
    "plugins/platforminputcontexts/libqtvirtualkeyboardplugin",
    "plugins/imageformats/libqpdf",
    "plugins/platformthemes/libqgtk3",  # the look is our own; GTK would weigh 22 MB where it is installed
    "plugins/platforms/libqvnc",
    "plugins/platforms/libqlinuxfb",
    "plugins/platforms/libqminimalegl",
    "plugins/platforms/libqvkkhrdisplay",
    "plugins/platforms/libqeglfs",
    "plugins/egldeviceintegrations",
    "Qt/translations/",
)


# System libraries that came with those parts alone: GTK and what it draws with, Kerberos for Qt's network.
UNUSED_SYSTEM = (
    "libatk-",
    "libatspi.",
    "libcairo",
    "libcom_err.",
    "libdatrie.",
    "libepoxy.",
    "libfribidi.",
    "libgdk",
    "libgio-",
    "libgmodule-",
    "libgobject-",
    "libgraphite2.",
    "libgssapi_krb5.",
    "libgtk-",
    "libharfbuzz.",
    "libk5crypto.",
    "libkeyutils.",
    "libkrb5",
    "libpango",
    "libpixman-",
    "libthai.",
)

UNUSED_PILLOW = ("libavif", "libwebp", "libsharpyuv")


def is_unused(name: str) -> bool:
    """Whether the file *name* of the application folder is a part that stays out."""
    path = name.replace("\\", "/")
    if path.startswith("pillow.libs/"):
        return any(part in path for part in UNUSED_PILLOW)
    if path.startswith("qtawesome/fonts/"):
        return not path.startswith("qtawesome/fonts/phosphor")
    if "/" not in path:
        return path.startswith(UNUSED_SYSTEM)
    return "PySide6" in path and any(part in path for part in UNUSED_QT)
