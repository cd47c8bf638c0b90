"""Shared by all frontends: the graph under construction, and the passes that make it canonical."""
