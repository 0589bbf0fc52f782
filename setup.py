"""Build of the Cython core; everything else about the package stands in pyproject.toml.

``RFGRAPH_BOUNDS_CHECK=1`` builds it with bounds checks on.
"""

import os
import sys
import sysconfig

from Cython.Build import cythonize
from setuptools import Extension, setup

CHECKED = os.environ.get("RFGRAPH_BOUNDS_CHECK") == "1"
# The limited API has typed memoryviews from 3.11 on; free-threaded builds don't offer it.
LIMITED = sys.version_info >= (3, 11) and not sysconfig.get_config_var("Py_GIL_DISABLED")

extension = Extension(
    "rfgraph._core",
    ["rfgraph/_core.pyx"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
    py_limited_api=LIMITED,
)

setup(
    ext_modules=cythonize(
        [extension],
        compiler_directives={
            "language_level": "3",
            "boundscheck": CHECKED,
            "wraparound": False,
            "initializedcheck": CHECKED,
            "cdivision": True,
        },
        force=CHECKED,
    ),
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {},
)
