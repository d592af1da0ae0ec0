"""Sheets and dialogs: sending, settings, confirmations, help."""
