"""What guards an order: pure decisions, in core code, around the one call that reaches the venue."""
