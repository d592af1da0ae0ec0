"""The transfers page: a card a job, receipts, and unfinished work of the last run."""
