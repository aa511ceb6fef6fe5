"""Azure Resource Manager: the gate that everybody passes, and what stands behind it, a module for each resource."""
