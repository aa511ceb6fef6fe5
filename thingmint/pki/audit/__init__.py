"""The audit: every invariant of authorities and devices, proven from the files."""
