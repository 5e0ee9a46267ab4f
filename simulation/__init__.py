"""A year of the real engine, planner and execution against a house of its own.

It joins product and stand-in like tests/scenarios, and lies outside of both for the same reason.
"""
