"""The HTTP door: one ASGI application, one folder a family of routes."""
