"""The hub from the service side: sign-in, certificates, device identities. Azure and the lab run the same code."""
