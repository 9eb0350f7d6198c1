"""MetricsTable of predicted against gold nodes, and how sure they are."""
