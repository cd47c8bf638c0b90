"""Two models side by side: run on the same inputs, converted, or compared as graphs without running."""
