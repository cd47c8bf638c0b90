"""Stores of many models, linted where they lie by the workers of a Dask cluster."""
