"""`python -m topodelin`."""

from topodelin.cli import main

main()
