"""What a rule is, which rules run, on which model, and what becomes of their findings."""
