"""Networks that regress distance maps."""
