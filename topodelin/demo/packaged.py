"""The files that come with the library; `data/README.md` says where they are from."""

from pathlib import Path

DATA = Path(__file__).parent / "data"
STACK = DATA / "dendrite.ome.tif"
TRUTH = DATA / "dendrite.swc"
TRAINING = DATA / "train.yaml"
