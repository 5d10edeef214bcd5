"""The main job on a real stack that comes with the library."""

from topodelin.demo.demo import DemoResult, run_demo
from topodelin.demo.packaged import STACK, TRUTH

__all__ = ["STACK", "TRUTH", "DemoResult", "run_demo"]
