"""Annotation tools: rows out to Label Studio and Argilla, what people decided back as labels.

Belongs here: the public file formats of these tools, and what several annotators said together.
Does not: our own review page (`cascade.review`), and learning from labels (`cascade.training`).
"""

from cascade.annotation.exporting import TOOLS, Exported, export_tasks
from cascade.annotation.importing import Imported, import_labels

__all__ = ["TOOLS", "Exported", "Imported", "export_tasks", "import_labels"]
