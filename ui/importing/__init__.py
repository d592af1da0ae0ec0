"""The import page: a source, its tree while it is read, and what is picked."""
