"""What processes do that run a model for another one: they open it once, and run tiles.

Workers of a cluster, and its scheduler, import this to know what they are told: so it imports no
more than that takes.
"""
