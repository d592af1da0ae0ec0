"""Pages a browser opens: the study link, and the viewer it leads to."""
