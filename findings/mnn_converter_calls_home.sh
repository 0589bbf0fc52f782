#!/usr/bin/env bash
# MNN 3.6.1: what its converter does when it is imported.
#
# The good guess: `mnnconvert`, or `import MNN.tools.mnnconvert`, reads a model and writes another one.
#
# What it does first: where the package aliyun-log-python-sdk is missing it runs
# `pip install -U aliyun-log-python-sdk`, with the `pip` that PATH finds, not that of its environment;
# it asks a server for credentials; and after each conversion it sends there the machine's identity,
# the options and the model's size. It can't be switched off. Nothing of it is told beforehand.
#
# Output: the command that it would have run, and the host that it would have asked. Both are kept from
# happening here.
#
# Why it matters: a comparison of runtimes changed the packages of the machine that it ran on. The
# extension module `_tools` converts without any of that. Ends with another code than 0 if it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q MNN==3.6.1
"$folder/venv/bin/python" - <<'PYTHON'
import os
import urllib.request

commands, hosts = [], []
os.system = lambda command: commands.append(command) or 1


def refused(request, *_, **__):
    hosts.append(request.host)
    raise OSError("not here")


urllib.request.urlopen = refused
import MNN.tools.mnnconvert as converter  # noqa: E402

# Without the package its logger is given up, silently; nothing has been asked of it yet.
print("it runs:", commands[0])
print("its logger:", converter.mnn_logger)
assert set(commands) == {"pip install -U aliyun-log-python-sdk"}, commands
assert converter.mnn_logger is None

# As if the package were there.
import sys  # noqa: E402
from types import SimpleNamespace  # noqa: E402

for name in ("aliyun", "aliyun.log", "aliyun.log.logitem"):
    sys.modules[name] = SimpleNamespace(
        log=None, LogClient=None, PutLogsRequest=None, LogItem=None, __path__=[]
    )
for name in [name for name in sys.modules if name.startswith("MNN.tools.utils")]:
    del sys.modules[name]
import MNN.tools.utils.log  # noqa: E402, F401

print("it asks:", hosts)
assert len(hosts) == 1, hosts
PYTHON
