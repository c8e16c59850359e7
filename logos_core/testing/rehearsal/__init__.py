"""Rehearse whole sessions against simulated venues: faults, kills, recovery, and an oracle that compares the books afterwards.

The trader and the venue are processes of their own, and the kill is the system's own. What the oracle says rests on the simulator's
side and on the ledger's file alone.
"""
