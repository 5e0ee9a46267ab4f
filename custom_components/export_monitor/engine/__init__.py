"""The decisions: free of Home Assistant and of I/O, so that one object runs everywhere."""
