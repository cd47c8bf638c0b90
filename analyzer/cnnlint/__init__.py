"""cnnlint: the linter for convolutional networks."""
