"""Market history: imported, downloaded, recorded; kept as journals, read as columns or as events."""
