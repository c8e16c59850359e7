"""Tools for those who develop logos; no wheel contains them."""
