"""Pictures and pages, and the numbers behind them."""
