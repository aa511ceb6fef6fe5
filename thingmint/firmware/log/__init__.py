"""A device's log: bytes in, what they prove out. Nothing here waits, prints or opens anything, and nothing grows with the log.

blocks (whole lines out of any bytes) -> story (finds what tells something) -> course (what happened to the device)
-> conclusions (frozen) -> telling (sentences); causes is the table of failures, numbers what the firmware's numbers mean, display what a reader sees of a line.
"""
