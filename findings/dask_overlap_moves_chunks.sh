#!/usr/bin/env bash
# dask 2026.8.0 (numpy 2.4.6, Python 3.11): dask.array.overlap.overlap, and map_overlap with it, move the borders
# between chunks where a chunk is shorter than the overlap, without a word.
#
# The guess: the overlap is added to the chunks that the array has, so that blocks begin where its chunks begin, less
# the depth; a chunk shorter than the depth is an error, or is joined with the one before it.
# What happens: the last chunk takes as many elements of the one before it as the depth lacks. Of 352 elements in
# chunks of 160, 160, 32 with a depth of 46 the third block is for 306 to 352, not for 320 to 352. With
# allow_rechunk=False it is an error.
#
# Why it matters here: a model with a stride of 8 gives other values in a tile that begins off the multiples of 8, at
# all of its elements. 160 is a multiple of 8, as somebody has seen to; 306 is none. With a depth that is a multiple
# itself (48, not 46) borders move by multiples.
#
# Seen:
#   chunks (160, 160, 32), blocks begin at [0, 114, 260], which are for 0, 160 and 306
#   depth 48: blocks begin at [0, 112, 256], which are for 0, 160 and 304
#   allow_rechunk=False: ValueError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "dask[array]==2026.8.0" numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import dask.array as da

x = da.arange(352, chunks=160)
assert x.chunks == ((160, 160, 32),)


def begins(depth):
    """The first element of each block with its overlap."""
    blocks = da.overlap.overlap(x, depth, boundary="none").blocks
    return [int(block.compute()[0]) for block in blocks]


found = begins(46)
print("chunks", x.chunks[0], "blocks begin at", found)
assert found == [0, 160 - 46, 306 - 46], found
found = begins(48)
print("depth 48: blocks begin at", found)
assert found == [0, 160 - 48, 304 - 48], found
try:
    da.overlap.overlap(x, 46, boundary="none", allow_rechunk=False)
except ValueError as error:
    print("allow_rechunk=False:", type(error).__name__)
else:
    raise SystemExit("allow_rechunk=False is no error any more")
PYTHON
