"""A run over files on many cores, GPUs or machines, with Ray Data.

One task reads the rows where the run was started, and cuts them into the chunks that a local run
has; actors, each with a cascade of its own, answer whole chunks; the process that started the run
writes. So a chunk is answered as in a local run, whoever answers it, and the outputs and journals
are those of a local run.

Why one writer: rows and answers are small beside the work of a model, the journal needs one
writer to be sure of its order, and workers need no folder that all of them can write.
"""

from cascade.pipeline.cluster.connect import Cluster
from cascade.pipeline.cluster.run import FileRun, classify_files, finished_chunks

__all__ = ["Cluster", "FileRun", "classify_files", "finished_chunks"]
