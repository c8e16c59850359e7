"""Simulate venues: an in-memory exchange, a loopback HTTP server and the faults a network can have.

Nothing here shares code with the order path. A simulator that reused the adapter's arithmetic would
repeat its mistakes; one that does not can be asked what the venue *really* holds.
"""
