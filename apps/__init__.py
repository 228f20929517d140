"""The daemons: each hands the shell a service and nothing else."""
