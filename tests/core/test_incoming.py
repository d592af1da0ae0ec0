"""Bytes on their way in: however they come, they are kept, hashed and named as they are."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from core.archive.blobs import LocalBlobs
from tests.core.archive_help import NS


@given(
    sizes=st.lists(st.integers(0, 400_000), max_size=8),
    in_pieces=st.booleans(),
    flushed=st.booleans(),
    looked_at=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_what_arrives_is_what_is_kept(
    sizes: list[int], *, in_pieces: bool, flushed: bool, looked_at: bool
) -> None:
    pieces = [bytes([n + 1]) * size for n, size in enumerate(sizes)]
    whole = b"".join(pieces)
    with TemporaryDirectory() as folder:
        blobs = LocalBlobs(Path(folder))
        with blobs.incoming(NS, in_pieces=in_pieces) as incoming:
            for n, piece in enumerate(pieces):
                incoming.write(piece)
                if flushed and n == 1:
                    incoming.flush()
            incoming.seal()
            if looked_at:
                content = incoming.content()
                assert (content.read_bytes() if isinstance(content, Path) else content.read()) == whole
            [blob] = blobs.keep(incoming)
        assert blob.bytes == len(whole)
        assert blob.version == blobs.digest(blob.key)
        assert blobs.path(blob.key).read_bytes() == whole
        assert blobs.names(blob.key, blob.version)
