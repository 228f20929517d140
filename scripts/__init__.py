"""Commands for operators and for the build."""
