"""What several losses compute with: sorted edges, spanning trees, nearest segments, paths."""
