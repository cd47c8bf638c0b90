"""One module per thing that exporters take apart."""
