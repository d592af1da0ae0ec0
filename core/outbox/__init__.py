"""The outbox: what is to be told to whom, kept until it has been told."""
