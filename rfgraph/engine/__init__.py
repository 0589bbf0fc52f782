"""The engine: reads lowered to a program, and the questions that it answers."""
