"""History fetched from venues: the one part of research that may reach a network, loaded only when it is asked to."""
