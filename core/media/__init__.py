"""Interchange media and made-up sample studies."""
