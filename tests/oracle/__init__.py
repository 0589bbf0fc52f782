"""An oracle by experiment, and the random graphs that the library is held against it on."""
