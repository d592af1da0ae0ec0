"""Routes the desktop needs and no public API offers: search, study panel, status, trash."""
