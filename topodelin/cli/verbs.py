"""Every verb of the command line, imported once so that each registers itself."""

from topodelin.cli import config as config
from topodelin.cli import delineate as delineate
from topodelin.cli import demo as demo
from topodelin.cli import losses as losses
from topodelin.cli import score as score
from topodelin.cli import train as train
