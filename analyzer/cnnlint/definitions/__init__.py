"""Networks by the Python code that defines them: what is named, how it is run, and which line made which layer."""
