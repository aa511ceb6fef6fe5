"""The hub and its provisioning service: made, looked at, told of authorities and devices, and spoken through."""
