"""The search for an order that leaves twice, gets lost, or goes on record without evidence.

Each module is a command of its own: `python -m campaign.histories`, for one.
"""
