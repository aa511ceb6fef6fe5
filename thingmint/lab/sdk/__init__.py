"""The stand-in for the nRF Connect SDK: a workspace that an unmodified west builds in, for rehearsals and tests."""
