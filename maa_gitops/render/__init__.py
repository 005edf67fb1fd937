"""Values to JSON, text and diffs. It decides nothing, and prints nothing: the command line does."""
