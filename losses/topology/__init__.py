"""The machinery of the topology loss: windows, regions, and the edges on which pairs hang."""
