"""The device's own side: registering, connecting with its certificate, telemetry. The only importer of azure.iot.device."""
