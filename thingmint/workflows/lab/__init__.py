"""The lab: started, misbehaving on request, with a simulated device; and the rehearsal that joins everything."""
