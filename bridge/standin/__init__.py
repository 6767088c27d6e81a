"""A stand-in for a shop's Odoo: a small server that answers as real ones were seen to answer.

The one rule: it is for the demo and for tests, listens on 127.0.0.1, and never invents kindness:
what the real server refuses, it refuses with the same class and text.
"""

from bridge.standin.server import Faults, StandIn

__all__ = ["Faults", "StandIn"]
