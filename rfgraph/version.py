"""The version of rfgraph."""

VERSION = "0.1.0"
