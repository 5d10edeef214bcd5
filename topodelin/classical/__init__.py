"""Voxels one by one: tree ensembles that classify them, and statistics of their classes."""
