"""Advice on a device: what it is put through, how what the lab saw of it is judged, and what cures a failure. All pure."""
