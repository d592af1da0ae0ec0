"""The Archive page: find studies, look at them, add documents, delete with a way back."""
