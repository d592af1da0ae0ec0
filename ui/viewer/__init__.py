"""The viewer window: viewports, tools, cine, series strip."""
