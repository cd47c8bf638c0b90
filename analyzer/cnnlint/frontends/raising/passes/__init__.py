"""Passes that fuse what exporters split."""
