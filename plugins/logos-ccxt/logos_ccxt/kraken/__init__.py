"""Kraken spot. Importing this package imports no SDK; `venue` does."""
