import numpy as np

def progression_min(
    source: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    advance: int,
    step: int,
    begin: int,
    end: int,
    nothing: int,
    out: np.ndarray,
) -> None: ...
