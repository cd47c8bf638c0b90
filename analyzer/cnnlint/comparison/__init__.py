"""Two models side by side: run on the same inputs, converted, or held against one another without running."""
