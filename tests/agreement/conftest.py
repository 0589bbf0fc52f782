"""The planted runtime is installed here too."""

from tests.runtimes.conftest import _planted as _planted
