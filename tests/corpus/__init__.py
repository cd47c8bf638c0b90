"""Networks that are as they should be, and what cnnlint says of each: `clean.toml`."""
