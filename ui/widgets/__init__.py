"""Widgets that more than one page uses: study panel, thumbnails, banners."""
