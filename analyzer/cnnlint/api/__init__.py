"""The Python interface: what `import cnnlint` gives, and what reports are to a program."""
