"""Rules about a network's outputs and the loss that they were trained with (HD)."""
