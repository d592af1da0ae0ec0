"""The Worklist page: what is to be done today and for whom; entries are made, begun, filled and finished."""
