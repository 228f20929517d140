"""Offline: the live code over recorded history."""
