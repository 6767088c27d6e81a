"""Scales: one file a protocol, each with its simulator."""

from scale.weight import Scale, Tares, Weight, Zeroes

__all__ = ["Scale", "Tares", "Weight", "Zeroes"]
