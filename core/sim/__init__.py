"""The simulated exchange without its sockets: pure, deterministic, fed by a recorded or a synthetic market."""
