"""Incremental indicators: floats in, floats out, a memory that can be written down."""

from strategies.indicators.base import Indicator
from strategies.indicators.bollinger import Bands, Bollinger
from strategies.indicators.crossover import Crossover
from strategies.indicators.ema import Ema
from strategies.indicators.rsi import Rsi
from strategies.indicators.sma import Sma
from strategies.indicators.stddev import StdDev
from strategies.indicators.window import Window

__all__ = ["Bands", "Bollinger", "Crossover", "Ema", "Indicator", "Rsi", "Sma", "StdDev", "Window"]
