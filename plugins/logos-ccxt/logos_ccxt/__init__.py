"""Crypto exchanges, through ccxt, as venues of logos."""
