import sys
from pathlib import Path

# The attacks are scripts beside the package, no part of it.
sys.path.insert(0, str(Path(__file__).parents[2] / "eval" / "soak"))
