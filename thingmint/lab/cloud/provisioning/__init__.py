"""The provisioning service: enrollments over HTTPS, and devices that register and are assigned to the hub."""
