"""The experiments of Hochreiter & Schmidhuber (1997), with their networks and their one update a sequence."""
