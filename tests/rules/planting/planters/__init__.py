"""A module of planters for each family of rules."""
