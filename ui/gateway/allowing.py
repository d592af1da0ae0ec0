"""The list of senders with one more on it."""

from __future__ import annotations

from dataclasses import replace

from core.settings import DimsePeer, Settings


def allowed(settings: Settings, peer: DimsePeer) -> Settings:
    """*settings* in which *peer* may associate; the same if it may already."""
    peers = settings.dimse.peers
    if any((each.ae_title, each.host) == (peer.ae_title, peer.host) for each in peers):
        return settings
    return replace(settings, dimse=replace(settings.dimse, peers=(*peers, peer)))
