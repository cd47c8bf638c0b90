"""The lint of models: opened, read, run by the rules, held to a baseline, remembered."""
