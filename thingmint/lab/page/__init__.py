"""A page to look at the live lab: read-only, on a listener of its own, for a browser on this machine."""
