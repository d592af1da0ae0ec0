"""V3 storage routes, as `v3-storage` describes them."""
