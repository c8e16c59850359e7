"""What the rails cost, what really leaves, and what survives a kill: run by `make`, not part of any package."""
