"""The one shell: it connects a handler or a source to bus, lease, journals, signals, health and systemd."""
