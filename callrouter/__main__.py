"""`python -m callrouter` is `callrouter`."""

from callrouter.cli import main

main(prog_name="callrouter")
