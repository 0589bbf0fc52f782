"""What a trained network really uses of what it can see, by runs of it: no gradients, any model.

`runs` runs a model up to the values that are looked at, and adds results up in an order of their
own; `stored` keeps them, for a run that was ended to be gone on with.
"""
