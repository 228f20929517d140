"""Chaos: the real processes on a real server, killed, frozen and cut off at random, and oracles that miss nothing."""
