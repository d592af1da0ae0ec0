"""Transfer syntaxes as a table: byte order, VR, compression (PS3.5 Annex A, PS3.6 A-1)."""

from __future__ import annotations

from dataclasses import dataclass

IMPLICIT_LITTLE_UID = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_UID = "1.2.840.10008.1.2.1"
DEFLATED_UID = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG_UID = "1.2.840.10008.1.2.2"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """One transfer syntax; *encapsulated* means its pixel data come as fragments (PS3.5 A.4)."""

    uid: str
    name: str
    encapsulated: bool = True
    explicit: bool = True
    little: bool = True
    deflated: bool = False
    lossy: bool = False
    video: bool = False


_NATIVE = (
    TransferSyntax(IMPLICIT_LITTLE_UID, "Implicit VR Little Endian", encapsulated=False, explicit=False),
    TransferSyntax(EXPLICIT_LITTLE_UID, "Explicit VR Little Endian", encapsulated=False),
    TransferSyntax(DEFLATED_UID, "Deflated Explicit VR Little Endian", encapsulated=False, deflated=True),
    TransferSyntax(EXPLICIT_BIG_UID, "Explicit VR Big Endian", encapsulated=False, little=False),
)
_STILL = (
    ("1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)", True),
    ("1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 and 4)", True),
    ("1.2.840.10008.1.2.4.53", "JPEG Spectral Selection (Process 6 and 8)", True),
    ("1.2.840.10008.1.2.4.55", "JPEG Full Progression (Process 10 and 12)", True),
    ("1.2.840.10008.1.2.4.57", "JPEG Lossless (Process 14)", False),
    ("1.2.840.10008.1.2.4.70", "JPEG Lossless (Process 14, Selection Value 1)", False),
    ("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", False),
    ("1.2.840.10008.1.2.4.81", "JPEG-LS Near-Lossless", True),
    ("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless", False),
    ("1.2.840.10008.1.2.4.91", "JPEG 2000", True),
    ("1.2.840.10008.1.2.4.92", "JPEG 2000 Multi-component Lossless", False),
    ("1.2.840.10008.1.2.4.93", "JPEG 2000 Multi-component", True),
    ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless", False),
    ("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression", True),
    ("1.2.840.10008.1.2.4.112", "JPEG XL", True),
    ("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 Lossless", False),
    ("1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 Lossless RPCL", False),
    ("1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000", True),
    ("1.2.840.10008.1.2.5", "RLE Lossless", False),
    ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression", False),
)
_VIDEO = (
    ("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level"),
    ("1.2.840.10008.1.2.4.100.1", "Fragmentable MPEG2 Main Profile / Main Level"),
    ("1.2.840.10008.1.2.4.101", "MPEG2 Main Profile / High Level"),
    ("1.2.840.10008.1.2.4.101.1", "Fragmentable MPEG2 Main Profile / High Level"),
    ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    ("1.2.840.10008.1.2.4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    ("1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    ("1.2.840.10008.1.2.4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    ("1.2.840.10008.1.2.4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    ("1.2.840.10008.1.2.4.104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    ("1.2.840.10008.1.2.4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    ("1.2.840.10008.1.2.4.105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    ("1.2.840.10008.1.2.4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    ("1.2.840.10008.1.2.4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    ("1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1"),
    ("1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1"),
)

TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {
    syntax.uid: syntax
    for syntax in (
        *_NATIVE,
        *(TransferSyntax(uid, name, lossy=lossy) for uid, name, lossy in _STILL),
        *(TransferSyntax(uid, name, lossy=True, video=True) for uid, name in _VIDEO),
    )
}


def transfer_syntax(uid: str) -> TransferSyntax:
    """The syntax of this UID; an unknown one counts as compressed (PS3.5 A.4)."""
    return TRANSFER_SYNTAXES.get(uid) or TransferSyntax(uid, uid or "unknown")
