"""Qt models and the plain views they are made from; adapters over nouns of `core`."""
