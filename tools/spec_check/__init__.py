"""Check what the adapters send and the simulators answer against the documents that the venues publish.

The documents are not part of this project. `python -m tools.spec_check` says where they come from.
"""
