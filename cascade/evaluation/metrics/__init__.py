"""Every metric, a module for each kind: `hierarchical_f1`, `calibration`, `bootstrap`, ...

All but those of `ranking` are computed from `gold_and_predicted`; `metrics_table` has them by
name, and `mcnemar` compares two runs. Not here: where errors are (`evaluation.error_analysis`), and
what a run cost (`evaluation.run_metrics`).
"""
