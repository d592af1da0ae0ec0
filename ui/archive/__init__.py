"""The archive page: search, a table of studies, and what may be done with one."""
