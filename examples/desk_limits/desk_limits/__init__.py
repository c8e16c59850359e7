"""A desk's own rules around its orders."""
