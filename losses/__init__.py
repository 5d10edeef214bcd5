"""Losses on distance maps that see connectivity."""
