"""Market data again: what journals and datasets hold goes out as it did live."""
