"""Control flow and sequences, written out: what is left is a graph of plain operators."""
