"""What differs between two networks, told from their graphs alone."""
