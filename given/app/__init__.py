"""How is it reached? The command line."""
