"""From a source to a destination, with a ledger that survives the power cut."""
