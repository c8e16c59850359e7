"""The memory of one account: what was decided, what was sent, what came of it, chained."""
