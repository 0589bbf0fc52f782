"""Control flow, containers and functions, written out: what is left is a graph of plain operators.

`expand` goes through the nodes; `control_flow`, `scan`, `containers` and `functions` write those
out that are not plain, `repeated` a loop whose rounds are not known, with a `writer`.
"""
