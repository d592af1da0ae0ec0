"""The doors of the archive: HTTP (and DIMSE) over `core`."""
