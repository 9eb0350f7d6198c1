"""The parts of `eval/bench/gpu.py`: each checks what it measures, and returns its figures."""
