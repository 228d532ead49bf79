"""The same work in engines that we did not write; their indicators are not ours either."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.works import FEE, LOOKBACK, STOP_ATR, TARGET_ATR, TIME_STOP
from darwin.core.market import Bars

Trades = list[tuple[int, float]]  # (entry bar, profit) by entry; closing at the end left out


def naive_columns(bars: Bars) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wilder's ATR by a plain loop, the channel by pandas."""
    import pandas as pd

    before = np.concatenate(([np.nan], bars.close[:-1]))
    reach = np.fmax(bars.high, before) - np.fmin(bars.low, before)
    atr = np.full(len(bars), np.nan)
    value = float(np.mean(reach[:14]))
    atr[13] = value
    for i, one in enumerate(reach[14:].tolist(), start=14):
        value = (value * 13.0 + one) / 14.0
        atr[i] = value
    upper = pd.Series(bars.high).rolling(LOOKBACK).max().shift(1).to_numpy()
    lower = pd.Series(bars.low).rolling(LOOKBACK).min().shift(1).to_numpy()
    return atr, upper, lower


def _frame(bars: Bars):
    import pandas as pd

    return pd.DataFrame(
        {
            "Open": bars.open,
            "High": bars.high,
            "Low": bars.low,
            "Close": bars.close,
            "Volume": np.nan_to_num(bars.volume),
        },
        index=pd.to_datetime(bars.time, unit="ms"),
    )


def backtesting(bars: Bars) -> Trades:
    """The `backtesting` package, event by event. It peeks at the next open only to cancel."""
    import warnings

    from backtesting import Backtest, Strategy

    atr, upper, lower = naive_columns(bars)
    open_ = bars.open

    class Donchian(Strategy):
        def init(self) -> None:
            pass

        def next(self) -> None:
            i = len(self.data) - 1
            if self.trades:
                if i - self.trades[0].entry_bar + 1 >= TIME_STOP:
                    self.trades[0].close()
                return
            close, distance = self.data.Close[-1], atr[i]
            side = (close > upper[i]) * 1 - (close < lower[i]) * 1
            if not side or not distance > 0 or i + 1 >= len(open_):
                return
            stop, target = close - side * STOP_ATR * distance, close + side * TARGET_ATR * distance
            left = side * (open_[i + 1] - stop)
            if left < 0.25 * STOP_ATR * distance or side * (target - open_[i + 1]) <= 0:
                return
            (self.buy if side > 0 else self.sell)(size=1, sl=stop, tp=target)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = Backtest(_frame(bars), Donchian, cash=1e9, commission=FEE).run()
    table = stats["_trades"]
    return list(zip(table["EntryBar"].tolist(), table["PnL"].tolist(), strict=True))


def vectorbt_order_func() -> Callable[[Bars], Trades]:
    """`Portfolio.from_order_func` with the whole work in a compiled function."""
    import pandas as pd
    import vectorbt as vbt
    from numba import njit
    from vectorbt.portfolio.enums import NoOrder
    from vectorbt.portfolio.nb import order_nb

    @njit
    def order(c, o, h, low, close, side_of, atr, state):
        i = c.i
        held = c.last_position[0]
        if held == 0:
            if c.call_idx > 0 or i == 0 or side_of[i - 1] == 0 or state[3] == i - 1:
                return -1, NoOrder
            side = side_of[i - 1]
            distance = atr[i - 1]
            stop = close[i - 1] - side * STOP_ATR * distance
            target = close[i - 1] + side * TARGET_ATR * distance
            left = side * (o[i] - stop)
            if left < 0.25 * STOP_ATR * distance or side * (target - o[i]) <= 0:
                return -1, NoOrder
            state[0], state[1], state[2] = i, stop, target
            return 0, order_nb(size=float(side), price=o[i], fees=FEE)
        price = np.nan
        if i - state[0] >= TIME_STOP:
            price = o[i]
        elif held > 0:
            if low[i] <= state[1]:
                price = min(o[i], state[1])
            elif h[i] >= state[2]:
                price = max(o[i], state[2])
        elif h[i] >= state[1]:
            price = max(o[i], state[1])
        elif low[i] <= state[2]:
            price = min(o[i], state[2])
        if np.isnan(price):
            return -1, NoOrder
        return 0, order_nb(size=-held, price=price, fees=FEE)

    def run(bars: Bars) -> Trades:
        high, low = pd.Series(bars.high), pd.Series(bars.low)
        before = np.concatenate(([np.nan], bars.close[:-1]))
        reach = np.fmax(bars.high, before) - np.fmin(bars.low, before)
        seeded = reach.copy()
        seeded[13] = reach[:14].mean()
        atr = pd.Series(seeded[13:]).ewm(alpha=1 / 14, adjust=False).mean().to_numpy()
        atr = np.concatenate((np.full(13, np.nan), atr))
        upper = high.rolling(LOOKBACK).max().shift(1).to_numpy()
        lower = low.rolling(LOOKBACK).min().shift(1).to_numpy()
        side = (bars.close > upper) * 1 - (bars.close < lower) * 1
        side[~(atr > 0)] = 0
        portfolio = vbt.Portfolio.from_order_func(
            pd.Series(bars.close), order, bars.open, bars.high, bars.low, bars.close, side, atr,
            np.full(4, -9.0), flexible=True, init_cash=1e9, max_orders=len(bars), freq="1min",
        )  # fmt: skip
        records = portfolio.trades.records
        closed = records[records["status"] == 1]
        return list(zip(closed["entry_idx"].tolist(), closed["pnl"].tolist(), strict=True))

    return run


def vectorbt_signals() -> Callable[[Bars], Trades]:
    """`Portfolio.from_signals`: its stops know no time stop, so this is less than the work."""
    import pandas as pd
    import vectorbt as vbt

    def run(bars: Bars) -> Trades:
        high, low = pd.Series(bars.high), pd.Series(bars.low)
        before = np.concatenate(([np.nan], bars.close[:-1]))
        reach = np.fmax(bars.high, before) - np.fmin(bars.low, before)
        atr = pd.Series(reach).ewm(alpha=1 / 14, adjust=False).mean().to_numpy()
        upper = high.rolling(LOOKBACK).max().shift(1).to_numpy()
        lower = low.rolling(LOOKBACK).min().shift(1).to_numpy()
        signal = np.roll(bars.close > upper, 1), np.roll(bars.close < lower, 1)
        distance = np.roll(atr, 1) / bars.open
        portfolio = vbt.Portfolio.from_signals(
            pd.Series(bars.close), entries=signal[0], short_entries=signal[1],
            exits=np.zeros(len(bars), bool), short_exits=np.zeros(len(bars), bool),
            price=bars.open, open=bars.open, high=bars.high, low=bars.low, size=1.0,
            sl_stop=STOP_ATR * distance, tp_stop=TARGET_ATR * distance, fees=FEE,
            init_cash=1e9, upon_opposite_entry="ignore", freq="1min",
        )  # fmt: skip
        records = portfolio.trades.records
        return list(zip(records["entry_idx"].tolist(), records["pnl"].tolist(), strict=True))

    return run


def backtrader(bars: Bars) -> Trades:
    """The `backtrader` package with its own ATR and channel; entries and brackets by orders."""
    import backtrader as bt

    done: Trades = []

    class Donchian(bt.Strategy):
        def __init__(self) -> None:
            self.atr = bt.indicators.ATR(period=14)
            self.upper = bt.indicators.Highest(self.data.high(-1), period=LOOKBACK)
            self.lower = bt.indicators.Lowest(self.data.low(-1), period=LOOKBACK)
            self.bracket = []

        def notify_trade(self, trade) -> None:
            if trade.isclosed:
                done.append((trade.baropen, trade.pnlcomm))

        def next(self) -> None:
            if self.position:
                if len(self) - self.opened >= TIME_STOP:
                    self.close()
                    for order in self.bracket[1:]:
                        self.cancel(order)
                return
            if any(order.alive() for order in self.bracket[:1]):
                return
            close, distance = self.data.close[0], self.atr[0]
            side = (close > self.upper[0]) - (close < self.lower[0])
            if side:
                place = self.buy_bracket if side > 0 else self.sell_bracket
                self.opened = len(self)
                self.bracket = place(
                    size=1, exectype=bt.Order.Market,
                    stopprice=close - side * STOP_ATR * distance,
                    limitprice=close + side * TARGET_ATR * distance,
                )  # fmt: skip

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(1e9)
    cerebro.broker.setcommission(commission=FEE)
    cerebro.adddata(bt.feeds.PandasData(dataname=_frame(bars)))
    cerebro.addstrategy(Donchian)
    cerebro.run()
    return done
