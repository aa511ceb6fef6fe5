"""The device registry of the hub, over HTTPS."""
