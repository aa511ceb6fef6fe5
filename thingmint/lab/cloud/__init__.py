"""The lab's server: ARM, device registry and sign-in over HTTPS, devices over MQTT/TLS, one SQLite file."""
