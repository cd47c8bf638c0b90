"""What else is done with models: compared, told apart, converted, rewritten, each with its report."""
