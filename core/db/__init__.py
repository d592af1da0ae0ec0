"""The database: an SQLAlchemy Core engine a file, many readers, one writer thread that commits in groups."""
