"""The devices' endpoint: MQTT 3.1.1 over TLS, with the fixed set of topics that IoT Hub knows."""
