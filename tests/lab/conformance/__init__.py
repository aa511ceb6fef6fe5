"""docs/conformance.md, exercised: a file an area, a function a row, registered under the row's key."""
