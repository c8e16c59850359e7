"""Measurements of what the rails cost and of what they hold."""
