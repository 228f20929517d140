"""Incremental indicators: floats in, floats out, a memory that can be written down."""

from strategies.indicators.adx import Adx, AdxLines, Directions, Dmi
from strategies.indicators.aroon import Aroon, AroonLines
from strategies.indicators.atr import Atr, TrueRange
from strategies.indicators.base import Indicator
from strategies.indicators.bollinger import Bands, Bollinger
from strategies.indicators.cci import Cci
from strategies.indicators.crossover import Crossover
from strategies.indicators.dema import Dema
from strategies.indicators.ema import Ema
from strategies.indicators.extremes import Highest, Lowest
from strategies.indicators.hma import Hma
from strategies.indicators.macd import Macd, MacdLines
from strategies.indicators.money_flow import Ad, Cmf
from strategies.indicators.obv import Obv
from strategies.indicators.roc import Roc
from strategies.indicators.rsi import Rsi
from strategies.indicators.sma import Sma
from strategies.indicators.smma import Smma
from strategies.indicators.stddev import StdDev
from strategies.indicators.stochastic import Stochastic, StochasticLines
from strategies.indicators.sums import Total, WindowSum
from strategies.indicators.tema import Tema
from strategies.indicators.vwap import RollingVwap, SessionVwap
from strategies.indicators.williams import WilliamsR
from strategies.indicators.window import Window
from strategies.indicators.wma import Wma

__all__ = [
    "Ad",
    "Adx",
    "AdxLines",
    "Aroon",
    "AroonLines",
    "Atr",
    "Bands",
    "Bollinger",
    "Cci",
    "Cmf",
    "Crossover",
    "Dema",
    "Directions",
    "Dmi",
    "Ema",
    "Highest",
    "Hma",
    "Indicator",
    "Lowest",
    "Macd",
    "MacdLines",
    "Obv",
    "Roc",
    "RollingVwap",
    "Rsi",
    "SessionVwap",
    "Sma",
    "Smma",
    "StdDev",
    "Stochastic",
    "StochasticLines",
    "Tema",
    "Total",
    "TrueRange",
    "WilliamsR",
    "Window",
    "WindowSum",
    "Wma",
]
