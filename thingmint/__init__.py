"""thingmint mints device identities, from an empty folder to a cellular device that talks to its hub."""
