"""The whole system on one machine: a server, every daemon, and a view of what they do."""
