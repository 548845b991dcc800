"""The claims of README.md and docs/: what a page says, how it is checked. ../documentation.py is the command."""
