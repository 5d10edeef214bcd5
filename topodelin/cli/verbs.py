"""Every verb of the command line, imported once so that each registers itself."""
