"""The suite: models of one node each, run through runtimes."""
