"""Keeps studies: blobs, catalog, versions, attachments, PHI, trash."""
