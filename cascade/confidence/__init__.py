"""How sure an answer is: calibration on held-out rows, and what is accepted at which risk.

Predictions come in with raw confidences and go out with probabilities and a status. Nothing here
scores or walks; what makes raw confidences is in `pipeline.trace`.
"""
