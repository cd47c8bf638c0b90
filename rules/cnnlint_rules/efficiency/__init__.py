"""Rules about speed at equal counts, and matters of opinion (EF): they run with `--pedantic`."""
