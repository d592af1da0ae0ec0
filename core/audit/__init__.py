"""What happened, to which study, by whom: an append-only record."""
