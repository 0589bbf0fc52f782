"""Build of the Cython modules; everything else about the package stands in pyproject.toml.

``RFGRAPH_BOUNDS_CHECK=1`` builds it with bounds checks on.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CHECKED = os.environ.get("RFGRAPH_BOUNDS_CHECK") == "1"
# The limited API has typed memoryviews from 3.11 on; free-threaded builds don't offer it.
LIMITED = sys.version_info >= (3, 11) and not sysconfig.get_config_var("Py_GIL_DISABLED")

# What handles Python's objects gains nothing from more than this, and compiles in half the time.
LEVELS = {
    "_core": "-O2",
    "engine._backward": "-O1",
    "engine._figures": "-O1",
    "engine._lowering": "-O1",
    "engine._unclipped": "-O1",
    "engine._waves": "-O1",
    "model._known": "-O1",
    "model._wire": "-O1",
}
# What modules tell each other.
SHARED = sorted(Path("rfgraph").rglob("*.pxd"))
CHOSEN = "CFLAGS" in os.environ or sys.platform == "win32"

extensions = [
    Extension(
        f"rfgraph.{name}",
        [f"rfgraph/{name.replace('.', '/')}.pyx"],
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
        py_limited_api=LIMITED,
        extra_compile_args=[] if CHOSEN else [level, "-g0"],
    )
    for name, level in LEVELS.items()
]


class BuildExt(build_ext):
    """Takes over what an editable install has left beside the sources, if it is up to date.

    Another extra is then added in seconds. What has to be compiled is compiled side by side.
    """

    def finalize_options(self) -> None:
        """Compile on all processors unless told otherwise."""
        super().finalize_options()
        self.parallel = self.parallel or True

    def build_extension(self, ext: Extension) -> None:
        """Compile, or copy what was compiled."""
        if CHECKED or not self.editable_mode:
            super().build_extension(ext)
            return
        made = Path(self.get_ext_filename(ext.name))
        sources = (Path(ext.sources[0]).with_suffix(".pyx"), *SHARED, Path("setup.py"))
        if not made.exists() or made.stat().st_mtime < max(s.stat().st_mtime for s in sources):
            super().build_extension(ext)
            return
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(made, target)


setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        extensions,
        compiler_directives={
            "language_level": "3",
            "boundscheck": CHECKED,
            "wraparound": False,
            "initializedcheck": CHECKED,
            "cdivision": True,
        },
        # Apart from what has no checks. An installation runs this file several times, and finds it.
        build_dir="build/checked" if CHECKED else None,
        # Elsewhere a new process may run this file once more.
        nthreads=(os.cpu_count() or 1) if sys.platform == "linux" else 0,
    ),
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {},
)
