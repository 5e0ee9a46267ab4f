"""Watches Home Assistant from outside, and records its events without loss."""

__version__ = "1.0.0"
