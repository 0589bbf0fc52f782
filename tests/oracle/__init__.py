"""Oracles by experiment, and what the library is held against them on.

`perturbation`
    changes the inputs of a model as it is; `cases` has models of one operator, made by hand, which
    are held against it one by one, and which tell errors in its transfer (`tests.mutation`)
`observe`
    puts NaN there; the random graphs of `generate`, built of what `drawn` says how to draw of each
    operator, show whether operators are right together, and those of `zeros` whether constants cut
    what they may; `control_flow` draws graphs with subgraphs and sequences
"""
