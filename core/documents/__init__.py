"""Small documents: TinyDB tables whose documents are rows of our database, safe for many writers."""

from core.documents.tables import DOCUMENTS, Documents, RowTable

__all__ = ["DOCUMENTS", "Documents", "RowTable"]
