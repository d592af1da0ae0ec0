"""Clients of other programs: HTTP with our errors, the V3 client, a remote archive as a source."""
