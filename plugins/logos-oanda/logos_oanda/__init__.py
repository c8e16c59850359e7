"""OANDA v20 as a venue of logos."""
