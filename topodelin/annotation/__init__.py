"""Targets made from neurite graphs, and synthetic microscopy."""
