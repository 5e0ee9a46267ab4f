"""What comes in: entity states, judged and read by role."""
