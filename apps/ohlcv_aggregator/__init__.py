"""Bars: trades become bars of one minute and of longer lengths."""
