"""Every verb of the command line, imported once so that each registers itself."""

from topodelin.cli import config as config
from topodelin.cli import convert as convert
from topodelin.cli import delineate as delineate
from topodelin.cli import demo as demo
from topodelin.cli import export as export
from topodelin.cli import info as info
from topodelin.cli import losses as losses
from topodelin.cli import models as models
from topodelin.cli import predict as predict
from topodelin.cli import presets as presets
from topodelin.cli import score as score
from topodelin.cli import stats as stats
from topodelin.cli import swc as swc
from topodelin.cli import sweep as sweep
from topodelin.cli import trace as trace
from topodelin.cli import train as train
