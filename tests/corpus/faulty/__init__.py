"""Networks whose faults somebody found, each with a repaired twin: `networks.toml`, and how cnnlint does on them."""
