"""The worklist: what is to be done for whom, when and where, and how far it has come."""
