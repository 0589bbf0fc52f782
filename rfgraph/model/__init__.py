"""The model: its file, its graph, and the shapes and static values of what it computes."""
