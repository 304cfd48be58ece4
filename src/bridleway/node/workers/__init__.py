"""Disposable processes: each piece of a statistic runs in one of its own and dies with it.

`runner` is the caller's side, `server` forks, `jobs` is what a worker does, `confine` what it may.
"""
