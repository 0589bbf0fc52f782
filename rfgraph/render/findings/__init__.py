"""What `rfgraph check` and `rfgraph diff` have found, in every format: one file a format."""
