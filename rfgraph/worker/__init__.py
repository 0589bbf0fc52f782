"""What runs a model: sessions of onnxruntime, and processes that run it for another one.

`pool` gives orders to any executor; `source` and `tiles` are what workers of a cluster, and its
scheduler, import to know what they are told, and so import no more than that takes. `protos` and
`feeds` have what makes a model and its inputs ready to be run.
"""
